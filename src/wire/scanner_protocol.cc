#include "wire/scanner_protocol.h"

#include <algorithm>
#include <concepts>
#include <optional>
#include <ranges>
#include <type_traits>

namespace lazaret::wire {
namespace {

enum class Type : std::uint8_t {
  kLoadRequest = 1,
  kForkRequest,
  kReady,
  kFailed,
  kForked,
  kForkFailed,
  kExited,
  kScanRequest,
  kOutcome,
};

template <class T>
constexpr Type kTypeOf = [] {
  if constexpr (std::same_as<T, LoadRequest>) return Type::kLoadRequest;
  if constexpr (std::same_as<T, ForkRequest>) return Type::kForkRequest;
  if constexpr (std::same_as<T, Ready>) return Type::kReady;
  if constexpr (std::same_as<T, Failed>) return Type::kFailed;
  if constexpr (std::same_as<T, Forked>) return Type::kForked;
  if constexpr (std::same_as<T, ForkFailed>) return Type::kForkFailed;
  if constexpr (std::same_as<T, Exited>) return Type::kExited;
  if constexpr (std::same_as<T, ScanRequest>) return Type::kScanRequest;
  if constexpr (std::same_as<T, Outcome>) return Type::kOutcome;
}();

// The one list of each message's fields, walked by the writer and the reader alike.
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, LoadRequest>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.signature_directory), visit(m.temp_directory), visit(m.user), visit(m.slots), visit(m.temp_bytes);
  visit(m.memory_bytes), visit(m.max_file_bytes), visit(m.max_scan_bytes), visit(m.max_recursion);
  visit(m.max_files), visit(m.detect_pua), visit(m.low_priority), visit(m.huge_pages);
  visit(m.skip_unmatched), visit(m.share_match_state);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, ForkRequest>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.slot);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, DatabaseInfo>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.name), visit(m.version), visit(m.signatures), visit(m.built_at);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, Ready>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.engine_version), visit(m.functionality_level), visit(m.signatures), visit(m.databases);
  visit(m.features), visit(m.sandbox), visit(m.errors), visit(m.warnings), visit(m.load_ms);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, Failed>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.what), visit(m.blames_signatures);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, Forked>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.slot), visit(m.pid);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, ForkFailed>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.slot), visit(m.what);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, Exited>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.slot), visit(m.pid), visit(m.wait_status);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, ScanRequest>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.number), visit(m.size), visit(m.time_limit_ms);
}
template <class Visitor, class Message>
  requires std::same_as<std::remove_const_t<Message>, Outcome>
void VisitFields(Visitor& visit, Message& m) {
  visit(m.number), visit(m.size), visit(m.kind), visit(m.reason), visit(m.signatures), visit(m.detail);
  visit(m.scan_us), visit(m.is_last);
}

template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

// How long a string that begins at `position` of a message may be. What is written behind the budget is numbers and
// empty lists only: a long list of long strings must not outgrow a datagram.
std::size_t TextRoom(std::size_t position) {
  constexpr std::size_t kTextBudget = 52 * 1024;
  return position < kTextBudget ? std::min(kMaxProtocolText, kTextBudget - position) : 0;
}

class Writer {
 public:
  explicit Writer(Type type) { operator()(static_cast<std::uint8_t>(type)); }

  template <Number T>
  void operator()(T value) {
    using Unsigned = std::make_unsigned_t<T>;
    auto rest = static_cast<std::uint64_t>(static_cast<Unsigned>(value));
    for (std::size_t i = 0; i < sizeof(T); ++i, rest >>= 8) out_.push_back(static_cast<std::byte>(rest & 0xFF));
  }
  void operator()(bool value) { operator()(static_cast<std::uint8_t>(value)); }
  template <class T>
    requires std::is_enum_v<T>
  void operator()(T value) {
    operator()(static_cast<std::uint8_t>(value));
  }
  void operator()(const std::string& text) {
    const Bytes bytes = AsBytes(std::string_view(text).substr(0, TextRoom(out_.size())));
    operator()(static_cast<std::uint32_t>(bytes.size()));
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  template <class T>
  void operator()(const std::vector<T>& items) {
    const std::size_t count_at = out_.size();
    std::uint32_t count = 0;
    operator()(count);
    for (const T& item : items | std::views::take(kMaxProtocolItems)) {
      // An item without its text would be worse than none: an infection with an empty name is refused.
      if (TextRoom(out_.size()) == 0) break;
      if constexpr (std::same_as<T, std::string>) {
        operator()(item);
      } else {
        VisitFields(*this, item);
      }
      ++count;
    }
    for (std::size_t i = 0; i < sizeof count; ++i) out_[count_at + i] = static_cast<std::byte>(count >> (8 * i) & 0xFF);
  }

  std::vector<std::byte> Take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

class Reader {
 public:
  // `in` is a message without its type byte.
  explicit Reader(Bytes in) : in_(in), message_size_(1 + in.size()) {}

  template <Number T>
  void operator()(T& value) {
    if (in_.size() < sizeof(T)) return Refuse();
    std::uint64_t rest = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) rest |= std::to_integer<std::uint64_t>(in_[i]) << (8 * i);
    value = static_cast<T>(rest);
    in_ = in_.subspan(sizeof(T));
  }
  void operator()(bool& value) {
    std::uint8_t number = 0;
    operator()(number);
    if (number > 1) return Refuse();
    value = number == 1;
  }
  void operator()(OutcomeKind& kind) {
    std::uint8_t number = 0;
    operator()(number);
    if (number < 1 || number > 3) return Refuse();
    kind = static_cast<OutcomeKind>(number);
  }
  void operator()(OutcomeReason& reason) {
    std::uint8_t number = 0;
    operator()(number);
    if (number > 6) return Refuse();
    reason = static_cast<OutcomeReason>(number);
  }
  void operator()(std::string& text) {
    const std::size_t room = TextRoom(Position());
    std::uint32_t length = 0;
    operator()(length);
    if (length > room || length > in_.size()) return Refuse();
    text.assign(AsText(in_.first(length)));
    in_ = in_.subspan(length);
  }
  template <class T>
  void operator()(std::vector<T>& items) {
    std::uint32_t count = 0;
    operator()(count);
    if (count > kMaxProtocolItems) return Refuse();
    for (std::uint32_t i = 0; i < count && ok_; ++i) {
      if (TextRoom(Position()) == 0) return Refuse();
      T& item = items.emplace_back();
      if constexpr (std::same_as<T, std::string>) {
        operator()(item);
      } else {
        VisitFields(*this, item);
      }
    }
  }

  bool FinishedWell() const { return ok_ && in_.empty(); }

 private:
  std::size_t Position() const { return message_size_ - in_.size(); }
  void Refuse() {
    ok_ = false;
    in_ = {};
  }

  Bytes in_;
  std::size_t message_size_;
  bool ok_ = true;
};

template <class T>
std::vector<std::byte> EncodeMessage(const T& message) {
  Writer writer(kTypeOf<T>);
  VisitFields(writer, message);
  return writer.Take();
}

// Empty unless `message` is exactly one well-formed T.
template <class T>
std::optional<T> DecodeMessage(Bytes message) {
  if (message.empty() || std::to_integer<std::uint8_t>(message[0]) != static_cast<std::uint8_t>(kTypeOf<T>)) {
    return std::nullopt;
  }
  T out;
  Reader reader(message.subspan(1));
  VisitFields(reader, out);
  if (!reader.FinishedWell()) return std::nullopt;
  return out;
}

template <class Variant, class... Ts>
Result<Variant> DecodeAnyOf(Bytes message) {
  std::optional<Variant> found;
  const auto attempt = [&]<class T>(std::type_identity<T>) {
    if (found) return;
    if (auto one = DecodeMessage<T>(message)) found.emplace(*std::move(one));
  };
  (attempt(std::type_identity<Ts>{}), ...);
  if (!found) return Fail(Errc::kMalformed, "not a message of the scanner protocol");
  return *std::move(found);
}

bool IsConsistent(const Outcome& outcome) {
  const bool has_reason = outcome.reason != OutcomeReason::kNone;
  switch (outcome.kind) {
    case OutcomeKind::kClean: return !has_reason && outcome.signatures.empty();
    case OutcomeKind::kInfected:
      return !has_reason && !outcome.signatures.empty() &&
             std::ranges::none_of(outcome.signatures, [](const std::string& name) { return name.empty(); });
    case OutcomeKind::kIncomplete: return has_reason && outcome.signatures.empty();
  }
  return false;
}

}  // namespace

std::vector<std::byte> Encode(const LoadRequest& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const ForkRequest& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const Ready& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const Failed& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const Forked& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const ForkFailed& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const Exited& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const ScanRequest& m) { return EncodeMessage(m); }
std::vector<std::byte> Encode(const Outcome& m) { return EncodeMessage(m); }

Result<ToZygote> DecodeToZygote(Bytes message) { return DecodeAnyOf<ToZygote, LoadRequest, ForkRequest>(message); }

Result<FromZygote> DecodeFromZygote(Bytes message) {
  return DecodeAnyOf<FromZygote, Ready, Failed, Forked, ForkFailed, Exited>(message);
}

Result<ScanRequest> DecodeScanRequest(Bytes message) {
  if (auto request = DecodeMessage<ScanRequest>(message)) return *std::move(request);
  return Fail(Errc::kMalformed, "not a scan request");
}

Result<Outcome> DecodeOutcome(Bytes message) {
  auto outcome = DecodeMessage<Outcome>(message);
  if (!outcome || !IsConsistent(*outcome)) return Fail(Errc::kMalformed, "not a consistent outcome of a scan");
  return *std::move(outcome);
}

}  // namespace lazaret::wire
