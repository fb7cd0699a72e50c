#include "redis/reply.h"

#include <fmt/format.h>

#include <ostream>

namespace lazaret::redis {
namespace {

std::unexpected<Error> Unexpected(std::string_view what, Reply::Kind wanted, const Reply& reply) {
  return Fail(Errc::kCorrupt,
              fmt::format("Redis answered {} with {} instead of {}", what, ToString(reply.kind()), ToString(wanted)));
}

}  // namespace

Reply Reply::Integer(std::int64_t value) {
  Reply reply;
  reply.kind_ = Kind::kInteger;
  reply.integer_ = value;
  return reply;
}

Reply Reply::Array(std::vector<Reply> elements) {
  Reply reply;
  reply.kind_ = Kind::kArray;
  reply.elements_ = std::move(elements);
  return reply;
}

Result<std::int64_t> Reply::ToInteger(std::string_view what) const {
  if (kind_ != Kind::kInteger) return Unexpected(what, Kind::kInteger, *this);
  return integer_;
}

Result<std::string> Reply::ToText(std::string_view what) && {
  if (kind_ != Kind::kBulk && kind_ != Kind::kStatus) return Unexpected(what, Kind::kBulk, *this);
  return std::move(text_);
}

Result<std::vector<Reply>> Reply::ToArray(std::string_view what) && {
  if (kind_ != Kind::kArray) return Unexpected(what, Kind::kArray, *this);
  return std::move(elements_);
}

std::string_view ToString(Reply::Kind kind) {
  switch (kind) {
    case Reply::Kind::kNil: return "nil";
    case Reply::Kind::kStatus: return "a status";
    case Reply::Kind::kError: return "an error";
    case Reply::Kind::kInteger: return "an integer";
    case Reply::Kind::kBulk: return "bytes";
    case Reply::Kind::kArray: return "an array";
  }
  return "something";
}

void PrintTo(const Reply& reply, std::ostream* out) {
  *out << ToString(reply.kind());
  switch (reply.kind()) {
    case Reply::Kind::kNil: break;
    case Reply::Kind::kInteger: *out << ' ' << reply.integer(); break;
    case Reply::Kind::kArray:
      *out << " of " << reply.elements().size() << " [";
      for (std::size_t i = 0; i < reply.elements().size() && i < 10; ++i) {
        *out << (i == 0 ? "" : ", ");
        PrintTo(reply.elements()[i], out);
      }
      *out << ']';
      break;
    default: *out << " \"" << reply.text().substr(0, 200) << '"';
  }
}

}  // namespace lazaret::redis
