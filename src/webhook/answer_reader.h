#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lazaret::webhook {

inline constexpr std::size_t kMaxAnswerHead = 16 * 1024;  // bytes of status line and fields, interim answers included
inline constexpr std::size_t kMaxAnswerBody = 64 * 1024;  // bytes that are read, and thrown away
inline constexpr std::size_t kMaxInterimAnswers = 4;      // with a status of 1xx, before the one that counts

// Reads the answer to one HTTP/1.1 request (RFC 9112) of which only the status matters. Owns no socket.
class AnswerReader {
 public:
  AnswerReader();
  ~AnswerReader();

  // Takes what has arrived. kMalformed when it is no answer or over a limit of heads; never once there is a status.
  Result<void> Feed(std::string_view bytes);

  // From the moment the head of the answer is complete.
  std::optional<unsigned> status() const { return status_; }
  // Nothing more is wanted: the body has ended, is broken or is longer than its limit.
  bool is_done() const { return done_; }

 private:
  class Parser;

  Result<bool> ReadHead();
  void ReadBody();

  std::unique_ptr<Parser> parser_;
  std::string pending_;  // what the parser has not taken yet
  std::size_t head_size_ = 0;
  std::size_t interim_answers_ = 0;
  std::optional<unsigned> status_;
  bool done_ = false;
};

}  // namespace lazaret::webhook
