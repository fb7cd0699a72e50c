#pragma once

#include <exception>
#include <string>

namespace lazaret {

// What an exception says, whatever its type, for the log.
inline std::string WhatOf(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace lazaret
