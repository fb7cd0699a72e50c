#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lazaret::http {

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string_view, std::string>> headers;  // further fields; names have static storage
  bool close = false;                                             // end the connection after this answer
};

// 200 with one JSON value on lines of its own.
inline Response Json(std::string value) { return Response{.body = std::move(value) + "\n", .headers = {}}; }

// "OK" for 200 (RFC 9110 section 15).
std::string_view ReasonPhrase(int status);

// The whole answer as sent (RFC 9112). `date` is an IMF-fixdate, `connection` the value of the Connection field or
// empty. `head_only` leaves the body out, for HEAD.
std::string Serialize(const Response& response, std::string_view date, std::string_view connection, bool head_only);
// The same at the end of `out`.
void AppendTo(std::string& out, const Response& response, std::string_view date, std::string_view connection,
              bool head_only);

}  // namespace lazaret::http
