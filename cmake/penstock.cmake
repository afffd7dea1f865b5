# How this project builds: the language, the warnings, and one function per kind of target.

include(GoogleTest)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

set(PENSTOCK_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them")

# ---- What every target of ours is compiled with ----------------------------------------------

add_library(penstock_options INTERFACE)
target_compile_options(penstock_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wthread-safety -Werror)
target_include_directories(penstock_options INTERFACE ${CMAKE_SOURCE_DIR}/service)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  # Any x86-64 server since 2010. simdjson's On-Demand front end is compiled into our own sources
  # and uses vectors only if these instructions may be taken for granted.
  add_compile_options(-march=x86-64-v2 -mpclmul)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # What the loader has filled in, nobody writes to; data is not executed (docs/adr/0018-*.md).
  add_link_options(LINKER:-z,relro,-z,now,-z,noexecstack)
endif()
if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
  # The options and suppressions live in the binaries, so they hold however a test is started.
  add_library(penstock_sanitizer_options OBJECT ${CMAKE_SOURCE_DIR}/cmake/sanitizer_options.cc)
  link_libraries($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:penstock_sanitizer_options>>)
endif()

# ---- Precompiled headers ------------------------------------------------------------------------
# Most of the time to compile a source of ours goes into the same standard headers. They are read
# once per build directory: penstock_pch for the program, penstock_test_pch, with GoogleTest, for
# tests. The header check compiles without them, so that a header still includes what it needs.

# penstock_precompile(NAME HEADER...): the target NAME, for target_precompile_headers(REUSE_FROM).
function(penstock_precompile name)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cc CONTENT "// Only here to carry the headers.\n")
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE penstock_options)
  target_compile_options(${name} PRIVATE -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} PRIVATE ${ARGN})
  # Not from ccache: a precompiled header names the directory it was made in, and does not work in
  # another one.
  set_target_properties(${name} PROPERTIES CXX_COMPILER_LAUNCHER "")
  # ccache takes this file for the precompiled header, which differs between directories. It says
  # what is in it, so that clones and build directories share results.
  list(TRANSFORM ARGN REPLACE "^<(.*)>$" "#include <\\1>" OUTPUT_VARIABLE lines)
  list(JOIN lines "\n" text)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.h CONTENT "${text}\n")
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} -std=c++${CMAKE_CXX_STANDARD} -E -P -x c++ ${CMAKE_BINARY_DIR}/${name}.h
    OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(SHA256 sum "${text}")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/CMakeFiles/${name}.dir/cmake_pch.hxx.pch.sum CONTENT ${sum})
endfunction()

set(standard_headers <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstring>
  <deque> <expected> <format> <functional> <map> <memory> <mutex> <optional> <span> <string>
  <string_view> <thread> <unordered_map> <utility> <variant> <vector>)
penstock_precompile(penstock_pch ${standard_headers})
penstock_precompile(penstock_test_pch ${standard_headers} <gtest/gtest.h>)

# ---- Folders ------------------------------------------------------------------------------------

# penstock_folders(FOLDER...): those that have a CMakeLists.txt, in this order.
function(penstock_folders)
  foreach(folder IN LISTS ARGN)
    if(EXISTS ${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt)
      add_subdirectory(${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/${folder})
    endif()
  endforeach()
endfunction()

# penstock_subfolders(PARENT): PARENT itself if it has a CMakeLists.txt, else each folder in it.
function(penstock_subfolders parent)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${parent}/CMakeLists.txt)
    penstock_folders(${parent})
    return()
  endif()
  file(GLOB lists RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/${parent}/*/CMakeLists.txt)
  foreach(list IN LISTS lists)
    cmake_path(GET list PARENT_PATH folder)
    penstock_folders(${folder})
  endforeach()
endfunction()

# "core" means penstock_core; names with "::" or of whole targets stay as they are.
function(penstock_target_names out)
  set(names)
  foreach(name IN LISTS ARGN)
    if(name MATCHES "::|^penstock_")
      list(APPEND names ${name})
    else()
      list(APPEND names penstock_${name})
    endif()
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# penstock_sources_there(OUT SOURCE...): the sources. One that is not there fails the build of its own
# target, and not the configuration of every other folder.
function(penstock_sources_there out)
  foreach(source IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
    if(NOT EXISTS ${path})
      set_source_files_properties(${path} PROPERTIES GENERATED TRUE)
    endif()
  endforeach()
  set(${out} ${ARGN} PARENT_SCOPE)
endfunction()

# ---- A folder of service/ -------------------------------------------------------------------------

add_custom_target(header_check COMMENT "Every header compiles by itself")

# penstock_library(NAME SOURCES... [DEPS...] [PRIVATE_DEPS...]): the target penstock_NAME.
# DEPS show in its headers, PRIVATE_DEPS (all third parties) do not. Both take folder names ("core")
# and targets ("dep::rdkafka", see dependencies.cmake).
function(penstock_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;PRIVATE_DEPS")
  penstock_target_names(deps ${arg_DEPS})
  penstock_target_names(private_deps ${arg_PRIVATE_DEPS})
  penstock_sources_there(sources ${arg_SOURCES})
  list(FILTER sources EXCLUDE REGEX "\\.h$")
  if(sources)
    add_library(penstock_${name} STATIC ${sources})
    target_precompile_headers(penstock_${name} REUSE_FROM penstock_pch)
    target_link_libraries(penstock_${name} PUBLIC penstock_options ${deps} PRIVATE ${private_deps})
  else()
    add_library(penstock_${name} INTERFACE)
    target_link_libraries(penstock_${name} INTERFACE penstock_options ${deps})
  endif()
  penstock_header_check(${name} ${deps})
endfunction()

# One source per header of this folder that includes it alone, and twice.
function(penstock_header_check name)
  file(GLOB_RECURSE headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.h)
  if(NOT headers)
    return()
  endif()
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/service
    OUTPUT_VARIABLE folder)
  set(sources)
  foreach(header IN LISTS headers)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/header_check/${header}.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT
      "#include \"${folder}/${header}\"\n#include \"${folder}/${header}\"  // NOLINT\n")
    list(APPEND sources ${source})
  endforeach()
  add_library(penstock_${name}_headers OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(penstock_${name}_headers PRIVATE penstock_options ${ARGN})
  add_dependencies(header_check penstock_${name}_headers)
endfunction()

# ---- Tests ------------------------------------------------------------------------------------------

# A target per layer, to build no more than it: ninja -C build/debug unit
foreach(layer unit component integration faults)
  add_custom_target(${layer})
endforeach()

# penstock_test(NAME LAYER unit|component|integration|faults SOURCES... [DEPS...]): one program of
# GoogleTest cases, each of which ctest runs by itself under the layer's label.
function(penstock_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LAYER" "SOURCES;DEPS")
  set(seconds_unit 60)
  set(seconds_component 120)
  set(seconds_integration 300)
  set(seconds_faults 600)
  if(NOT DEFINED seconds_${arg_LAYER})
    message(FATAL_ERROR "${name}: LAYER is unit, component, integration or faults")
  endif()
  penstock_target_names(deps ${arg_DEPS})
  penstock_sources_there(sources ${arg_SOURCES})
  add_executable(${name} ${sources})
  target_precompile_headers(${name} REUSE_FROM penstock_test_pch)
  target_link_libraries(${name} PRIVATE penstock_options ${deps} dep::gtest)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  gtest_discover_tests(${name}
    DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${arg_LAYER} TIMEOUT ${seconds_${arg_LAYER}})
  add_dependencies(${arg_LAYER} ${name})
endfunction()

# ---- Protocol buffers -------------------------------------------------------------------------------

# Ours, Google's and OpenTelemetry's, where Debian puts these.
set(proto_roots ${CMAKE_SOURCE_DIR}/protos /usr/lib/python3/dist-packages /usr/include)

function(penstock_proto_path out proto)
  foreach(root IN LISTS proto_roots)
    if(EXISTS ${root}/${proto})
      set(${out} ${root}/${proto} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "${proto} is missing; build with ./dev, which brings everything in "
    "tools/packages.txt")
endfunction()

# penstock_proto(): penstock_protos, from every file under protos/, the google.rpc, google.api and
# google.longrunning files that they import, and OpenTelemetry's of traces.
function(penstock_proto)
  file(GLOB_RECURSE own RELATIVE ${CMAKE_SOURCE_DIR}/protos CONFIGURE_DEPENDS
    ${CMAKE_SOURCE_DIR}/protos/*.proto)
  if(NOT own)
    return()
  endif()
  list(TRANSFORM proto_roots PREPEND -I OUTPUT_VARIABLE includes)
  set(out ${CMAKE_BINARY_DIR}/protos)
  file(MAKE_DIRECTORY ${out})

  # Error details are part of the API though no message of ours holds one.
  set(queue ${own} google/rpc/status.proto google/rpc/error_details.proto
    opentelemetry/proto/collector/trace/v1/trace_service.proto)
  set(seen)
  while(queue)
    list(POP_FRONT queue proto)
    if(proto IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${proto})
    penstock_proto_path(path ${proto})
    file(STRINGS ${path} imports REGEX "^import ")
    foreach(import IN LISTS imports)
      string(REGEX REPLACE "^import +(public +)?\"([^\"]+)\".*" "\\2" import ${import})
      if(NOT import MATCHES "^google/protobuf/") # in libprotobuf
        list(APPEND queue ${import})
      endif()
    endforeach()
  endwhile()

  set(sources)
  foreach(proto IN LISTS seen)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    penstock_proto_path(path ${proto})
    set(outputs ${out}/${stem}.pb.cc ${out}/${stem}.pb.h)
    set(grpc)
    if(proto IN_LIST own)
      list(APPEND outputs ${out}/${stem}.grpc.pb.cc ${out}/${stem}.grpc.pb.h)
      set(grpc --grpc_out=${out} --plugin=protoc-gen-grpc=${PENSTOCK_GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND ${PENSTOCK_PROTOC} --cpp_out=${out} ${grpc} ${includes} ${path}
      DEPENDS ${path}
      COMMENT "protoc ${proto}"
      VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()

  list(FILTER sources INCLUDE REGEX "\\.cc$")
  add_library(penstock_protos STATIC ${sources})
  target_include_directories(penstock_protos SYSTEM PUBLIC ${out})
  target_compile_options(penstock_protos PRIVATE -w)
  target_link_libraries(penstock_protos PUBLIC dep::grpc dep::protobuf)
endfunction()
