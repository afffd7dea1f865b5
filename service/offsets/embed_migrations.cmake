# Writes OUTPUT, the C++ source that holds every NNNN_name.{up,down}.sql of DIRECTORY.
file(GLOB ups RELATIVE ${DIRECTORY} ${DIRECTORY}/*.up.sql)
list(SORT ups)
set(entries)
foreach(up IN LISTS ups)
  if(NOT up MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)\\.up\\.sql$")
    message(FATAL_ERROR "migrations/${up}: expected NNNN_name.up.sql")
  endif()
  set(version ${CMAKE_MATCH_1})
  set(name ${CMAKE_MATCH_2})
  string(REGEX REPLACE "^0+" "" number ${version})
  set(down ${version}_${name}.down.sql)
  if(NOT EXISTS ${DIRECTORY}/${down})
    message(FATAL_ERROR "migrations/${down} is missing")
  endif()
  file(READ ${DIRECTORY}/${up} up_sql)
  file(READ ${DIRECTORY}/${down} down_sql)
  file(SHA256 ${DIRECTORY}/${up} checksum)
  string(APPEND entries "    {${number}, \"${name}\", R\"penstock(${up_sql})penstock\",\n"
    "     R\"penstock(${down_sql})penstock\",\n     \"${checksum}\"},\n")
endforeach()
set(source "#include \"offsets/migrations.h\"

namespace penstock::offsets {
namespace {
constexpr Migration kMigrations[] = {
${entries}};
}  // namespace

std::span<const Migration> embedded_migrations() { return kMigrations; }

}  // namespace penstock::offsets
")
file(WRITE ${OUTPUT} "${source}")
