# What most sources read first is compiled once: half of a compiler's time goes into these headers otherwise. A source
# names what it uses all the same; with -DLAZARET_PRECOMPILE=OFF one that does not is found.
option(LAZARET_PRECOMPILE "Compile the headers that most sources read once for all of them" ON)

# Tests are compiled more often than they run: unoptimised, they take a third of the time. What they test is optimised.
add_library(lazaret_unoptimised INTERFACE)
target_compile_options(lazaret_unoptimised INTERFACE -O0 -U_FORTIFY_SOURCE)  # the C library fortifies optimised code only

# lazaret_precompile(NAME LINKS targets ... HEADERS headers ...): for targets with the same flags as these.
function(lazaret_precompile name)
  cmake_parse_arguments(ARG "" "" "LINKS;HEADERS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc CONTENT "// Nothing: a target needs a source.\n")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  # Without it the file changes with the time of its making, and a compiler cache never finds what was made with it.
  target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()

# lazaret_use_precompiled(TARGET NAME)
function(lazaret_use_precompiled target name)
  if(LAZARET_PRECOMPILE)
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()

if(LAZARET_PRECOMPILE)
  set(lazaret_headers
    <algorithm> <array> <atomic> <charconv> <chrono> <cstdint> <deque> <expected> <filesystem> <functional> <map> <memory>
    <mutex> <optional> <set> <span> <stdexcept> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
    <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/bind_cancellation_slot.hpp>
    <boost/asio/cancellation_signal.hpp> <boost/asio/co_spawn.hpp> <boost/asio/detached.hpp>
    <boost/asio/experimental/awaitable_operators.hpp> <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp>
    <boost/asio/local/stream_protocol.hpp> <boost/asio/post.hpp> <boost/asio/read.hpp> <boost/asio/steady_timer.hpp>
    <boost/asio/this_coro.hpp> <boost/asio/use_awaitable.hpp> <boost/asio/use_future.hpp> <boost/asio/write.hpp>
    <boost/json.hpp> <fmt/format.h> <fmt/ranges.h>)
  lazaret_precompile(lazaret_precompiled LINKS lazaret_flags lazaret_sanitize fmt::fmt HEADERS ${lazaret_headers})
  if(LAZARET_TESTS)
    lazaret_precompile(lazaret_precompiled_tests
      LINKS lazaret_flags lazaret_sanitize lazaret_unoptimised fmt::fmt GTest::gmock
      HEADERS ${lazaret_headers} <fstream> <future> <random> <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endif()
