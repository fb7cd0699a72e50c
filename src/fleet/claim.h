#pragma once

#include <functional>
#include <utility>

namespace lazaret::fleet {

// Something that was taken from Redis: it is given back unless somebody keeps it.
template <class T>
class Claim {
 public:
  // `give_back` is called on whatever thread destroys this.
  Claim(T value, std::function<void(const T&)> give_back)
      : value_(std::move(value)), give_back_(std::move(give_back)) {}
  Claim(Claim&& other) noexcept
      : value_(std::move(other.value_)), give_back_(std::exchange(other.give_back_, nullptr)) {}
  Claim& operator=(Claim&&) = delete;
  ~Claim() {
    if (give_back_) give_back_(value_);
  }

  void Keep() { give_back_ = nullptr; }
  T& operator*() { return value_; }
  T* operator->() { return &value_; }

 private:
  T value_;
  std::function<void(const T&)> give_back_;
};

}  // namespace lazaret::fleet
