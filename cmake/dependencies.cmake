# Every third-party library, once. Debian puts all of them in the system's own directories, so a
# target is a name for what to link; finding them here gives one clear message if one is missing.

# penstock_dependency(NAME HEADER LIBRARY...): the target dep::NAME.
function(penstock_dependency name header)
  find_path(PENSTOCK_HEADER_${name} ${header} NO_CACHE)
  if(NOT PENSTOCK_HEADER_${name})
    message(FATAL_ERROR "${name}: <${header}> is missing; build with ./dev, which brings everything "
      "in tools/packages.txt")
  endif()
  add_library(dep_${name} INTERFACE)
  add_library(dep::${name} ALIAS dep_${name})
  foreach(library IN LISTS ARGN)
    find_library(found ${library} NO_CACHE)
    if(NOT found)
      message(FATAL_ERROR "${name}: the library ${library} is missing (see tools/packages.txt)")
    endif()
    target_link_libraries(dep_${name} INTERFACE ${found})
    unset(found)
  endforeach()
endfunction()

find_program(PENSTOCK_PROTOC protoc REQUIRED)
find_program(PENSTOCK_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
find_package(Threads REQUIRED)

penstock_dependency(rdkafka librdkafka/rdkafka.h rdkafka)
penstock_dependency(pq postgresql/libpq-fe.h pq)
target_include_directories(dep_pq SYSTEM INTERFACE /usr/include/postgresql)
penstock_dependency(pqxx pqxx/pqxx pqxx pq)
penstock_dependency(simdjson simdjson.h simdjson)
penstock_dependency(yaml yaml-cpp/yaml.h yaml-cpp)
penstock_dependency(json nlohmann/json.hpp)
penstock_dependency(re2 re2/re2.h re2)
penstock_dependency(absl_time absl/time/time.h absl_time)
penstock_dependency(protobuf google/protobuf/message.h protobuf)
# absl: gRPC's headers for servers use its mutex inline.
penstock_dependency(grpc grpcpp/grpcpp.h grpc++ grpc gpr absl_synchronization)
penstock_dependency(prometheus prometheus/registry.h prometheus-cpp-core)
# Asio and Beast: headers only.
penstock_dependency(boost boost/beast/http.hpp)
# crypto: its thread pool, which is inline, ends OpenSSL in every thread.
penstock_dependency(httplib httplib.h cpp-httplib crypto)
penstock_dependency(curl curl/curl.h curl)
# Its hashes are inline (XXH_INLINE_ALL): nothing to link.
penstock_dependency(xxhash xxhash.h)
penstock_dependency(crypto openssl/evp.h crypto)
penstock_dependency(ssl openssl/ssl.h ssl crypto)
penstock_dependency(cli11 CLI/CLI.hpp)
penstock_dependency(gtest gmock/gmock.h gmock gtest gtest_main)
penstock_dependency(benchmark benchmark/benchmark.h benchmark benchmark_main)
# As the Debian package was compiled; class layouts depend on it.
target_compile_definitions(dep_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT
  CPPHTTPLIB_BROTLI_SUPPORT)
foreach(name gtest benchmark rdkafka boost)
  target_link_libraries(dep_${name} INTERFACE Threads::Threads)
endforeach()
