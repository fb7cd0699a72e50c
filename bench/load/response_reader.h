#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lazaret::bench {

struct Response {
  int status = 0;
  bool closes = false;  // the server will end the connection
  std::string body = {};
};

// Takes HTTP/1.1 responses with Content-Length (or without a body) apart as they arrive. Just enough for the servers
// that are measured: anything else is malformed.
class ResponseReader {
 public:
  // False when it is no such response: give up the connection.
  bool Feed(std::string_view bytes);
  // The next complete one, interim ones (1xx) included.
  std::optional<Response> Take();
  bool is_empty() const { return received_.empty(); }

 private:
  bool ReadHead();

  std::string received_;
  bool malformed_ = false;
  // Of the response at the front, once its head has come.
  std::size_t head_size_ = 0;
  std::uint64_t body_size_ = 0;
  Response next_;
};

}  // namespace lazaret::bench
