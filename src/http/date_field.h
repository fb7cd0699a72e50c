#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace lazaret::http {

// The time as answers carry it, an IMF-fixdate (RFC 9110 5.6.7): written once a second, however many answers there are.
class DateField {
 public:
  // Until the next call.
  std::string_view Now();

 private:
  std::time_t time_ = 0;
  std::string text_;
};

}  // namespace lazaret::http
