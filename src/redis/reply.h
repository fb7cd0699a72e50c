#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace lazaret::redis {

// One reply of a Redis server (RESP2), owned. Texts may hold any bytes.
class Reply {
 public:
  enum class Kind { kNil, kStatus, kError, kInteger, kBulk, kArray };

  Reply() = default;  // nil
  static Reply Status(std::string text) { return Reply(Kind::kStatus, std::move(text)); }
  static Reply MakeError(std::string text) { return Reply(Kind::kError, std::move(text)); }
  static Reply Bulk(std::string bytes) { return Reply(Kind::kBulk, std::move(bytes)); }
  static Reply Integer(std::int64_t value);
  static Reply Array(std::vector<Reply> elements);

  Kind kind() const { return kind_; }
  bool IsNil() const { return kind_ == Kind::kNil; }
  bool IsError() const { return kind_ == Kind::kError; }
  bool IsArray() const { return kind_ == Kind::kArray; }

  // Of a status, an error or bulk bytes; empty for anything else.
  const std::string& text() const& { return text_; }
  std::string text() && { return std::move(text_); }
  // Of an integer; 0 for anything else.
  std::int64_t integer() const { return integer_; }
  // Of an array; empty for anything else.
  const std::vector<Reply>& elements() const& { return elements_; }
  std::vector<Reply> elements() && { return std::move(elements_); }

  // For those who know what must come: kCorrupt when it is something else, nil included. `what` names it in the
  // message.
  Result<std::int64_t> ToInteger(std::string_view what) const;
  Result<std::string> ToText(std::string_view what) &&;
  Result<std::vector<Reply>> ToArray(std::string_view what) &&;

  friend bool operator==(const Reply&, const Reply&) = default;

 private:
  friend class ReplyParser;
  Reply(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

  Kind kind_ = Kind::kNil;
  std::int64_t integer_ = 0;
  std::string text_;
  std::vector<Reply> elements_;
};

std::string_view ToString(Reply::Kind kind);
// For tests: the kind and the beginning of what it holds.
void PrintTo(const Reply& reply, std::ostream* out);

}  // namespace lazaret::redis
