#pragma once

#include <dlfcn.h>

#include <cstdlib>

// For the files that define a function of the C library or of libclamav again, so that libclamav, which reaches even
// its own functions through the dynamic linker, binds to ours: the executable comes first in the search order
// (ld.so(8)). Declared through an assembler name, since headers may declare the function otherwise.
#define LAZARET_INTERPOSE(name) __asm__(name) __attribute__((visibility("default"), used))

namespace lazaret::scanner {

// The definition of a function that comes after this executable in the search order. Found on first use, since shared
// libraries call some before main. Calling one that is nowhere ends the process.
template <class Signature>
class Real;
template <class R, class... Args>
class Real<R(Args...)> {
 public:
  constexpr explicit Real(const char* name) : name_(name) {}
  bool Resolve() {
    if (function_ == nullptr) function_ = reinterpret_cast<R (*)(Args...)>(::dlsym(RTLD_NEXT, name_));
    return function_ != nullptr;
  }
  R operator()(Args... args) {
    if (!Resolve()) std::abort();
    return function_(args...);
  }

 private:
  const char* name_;
  R (*function_)(Args...) = nullptr;
};

}  // namespace lazaret::scanner
