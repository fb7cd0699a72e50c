#include "wire/http_head.h"

#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "wire/http_text.h"

namespace lazaret::wire {
namespace {

constexpr std::size_t kUsualFields = 24;  // reserved at once: more than browsers send

std::unexpected<Error> Malformed(std::string what) { return Fail(Errc::kMalformed, std::move(what)); }

constexpr bool IsHostChar(char c) {
  return IsAlpha(c) || IsDigit(c) || std::string_view("-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

// uri-host [ ":" port ] (RFC 9110 7.2), checked loosely: the right characters, balanced brackets, a numeric port.
bool IsHost(std::string_view text) {
  std::size_t end = 0;
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    for (const char c : text.substr(1, end - 1)) {
      if (!IsHostChar(c) && c != ':') return false;
    }
    ++end;
  } else {
    while (end < text.size() && IsHostChar(text[end])) ++end;
  }
  if (end == text.size()) return true;
  return text[end] == ':' && std::ranges::all_of(text.substr(end + 1), IsDigit);
}

class HeadParser {
 public:
  explicit HeadParser(std::string_view head) : rest_(head) { head_.fields.reserve(kUsualFields); }

  Result<RequestHead> Parse() {
    if (rest_.starts_with("\r\n")) rest_.remove_prefix(2);
    auto line = NextLine();
    if (!line) return std::unexpected(std::move(line.error()));
    if (auto done = ReadRequestLine(*line); !done) return std::unexpected(std::move(done.error()));
    for (;;) {
      line = NextLine();
      if (!line) return std::unexpected(std::move(line.error()));
      if (line->empty()) break;
      if (auto done = ReadField(*line); !done) return std::unexpected(std::move(done.error()));
    }
    if (!rest_.empty()) return Malformed("bytes follow the empty line that ends the request head");
    if (auto done = Conclude(); !done) return std::unexpected(std::move(done.error()));
    return std::move(head_);
  }

 private:
  Result<std::string_view> NextLine() {
    const std::size_t end = rest_.find('\r');
    const std::string_view line = rest_.substr(0, end);
    if (HasControl(line)) return Malformed(fmt::format("request head holds {}", NameFirstControl(line)));
    if (end == std::string_view::npos || end + 1 == rest_.size()) {
      return Malformed("request head does not end in an empty line");
    }
    if (rest_[end + 1] != '\n') return Malformed("request head holds a bare CR");
    rest_.remove_prefix(end + 2);
    return line;
  }

  Result<void> ReadRequestLine(std::string_view line) {
    if (line.empty()) return Malformed("request line is empty");
    if (line.find('\t') != std::string_view::npos) return Malformed("request line holds a tab");
    const std::size_t method_end = line.find(' ');
    if (method_end == 0) return Malformed("request line begins with a space");
    if (method_end == std::string_view::npos) return Malformed("request line has no target");
    head_.method = line.substr(0, method_end);
    if (!IsToken(head_.method)) return Malformed("request method is not a token");
    line.remove_prefix(method_end + 1);

    const std::size_t target_end = line.find(' ');
    if (target_end == 0) return Malformed("request line has two spaces behind the method");
    if (target_end == std::string_view::npos) return Malformed("request line has no HTTP version");
    if (auto done = ReadTarget(line.substr(0, target_end)); !done) return done;
    return ReadVersion(line.substr(target_end + 1));
  }

  Result<void> ReadTarget(std::string_view target) {
    for (const char c : target) {
      if (static_cast<unsigned char>(c) >= 0x80) return Malformed("request target holds a byte that is not ASCII");
      if (c == '#') return Malformed("request target holds a fragment");
    }
    if (target == "*") {
      if (head_.method != "OPTIONS") return Malformed("request target * is for OPTIONS only");
      head_.path = target;
      return {};
    }
    if (!target.starts_with('/')) {
      const std::size_t colon = target.find("://");
      if (colon == std::string_view::npos ||
          !(EqualsIgnoreCase(target.substr(0, colon), "http") || EqualsIgnoreCase(target.substr(0, colon), "https"))) {
        return Malformed("request target does not begin with a slash");
      }
      target.remove_prefix(colon + 3);
      head_.host = target.substr(0, target.find_first_of("/?"));
      if (head_.host.empty() || !IsHost(head_.host)) return Malformed("request target names no proper host");
      target.remove_prefix(head_.host.size());
    }
    const std::size_t question = target.find('?');
    head_.path = target.substr(0, question);
    if (head_.path.empty()) head_.path = "/";
    if (question != std::string_view::npos) head_.query = target.substr(question + 1);
    return {};
  }

  Result<void> ReadVersion(std::string_view version) {
    if (version == "HTTP/1.1") return {};
    if (version == "HTTP/1.0") {
      head_.minor_version = 0;
      return {};
    }
    if (version.find(' ') != std::string_view::npos) return Malformed("request line has a space too many");
    if (version.starts_with("HTTP/")) return Malformed("HTTP version is neither 1.0 nor 1.1");
    return Malformed("request line does not end in an HTTP version");
  }

  Result<void> ReadField(std::string_view line) {
    std::size_t colon = 0;
    while (colon < line.size() && IsTokenChar(line[colon])) ++colon;
    if (colon == 0 || colon == line.size() || line[colon] != ':') return RefuseName(line, colon);
    if (head_.fields.size() == kMaxHeaderFields) {
      return Fail(Errc::kTooLarge, fmt::format("request head has more than {} fields", kMaxHeaderFields));
    }
    const HeaderField field{line.substr(0, colon), TrimOws(line.substr(colon + 1))};
    head_.fields.push_back(field);
    switch (field.name.size()) {
      case 4: return EqualsIgnoreCase(field.name, "host") ? ReadHost(field.value) : Result<void>();
      case 6:
        if (EqualsIgnoreCase(field.name, "expect")) ReadExpect(field.value);
        return {};
      case 10: return EqualsIgnoreCase(field.name, "connection") ? ReadConnection(field.value) : Result<void>();
      case 14: return EqualsIgnoreCase(field.name, "content-length") ? ReadLength(field.value) : Result<void>();
      case 17: return EqualsIgnoreCase(field.name, "transfer-encoding") ? ReadCoding(field.value) : Result<void>();
      default: return {};
    }
  }

  static Result<void> RefuseName(std::string_view line, std::size_t stopped_at) {
    if (IsOws(line.front())) return Malformed("header line begins with whitespace; folded lines are not accepted");
    if (line.front() == ':') return Malformed("header field has no name");
    if (line.find(':') == std::string_view::npos) return Malformed("header line has no colon");
    if (IsOws(line[stopped_at])) return Malformed("header field has whitespace before its colon");
    return Malformed("header field name is not a token");
  }

  Result<void> ReadHost(std::string_view value) {
    if (has_host_) return Malformed("Host is given twice");
    if (!IsHost(value)) return Malformed("Host is not a host and port");
    has_host_ = true;
    if (head_.host.empty()) head_.host = value;
    return {};
  }

  void ReadExpect(std::string_view value) {
    if (!EqualsIgnoreCase(value, "100-continue")) {
      head_.expectation = Expectation::kUnsupported;
    } else if (head_.expectation == Expectation::kNone) {
      head_.expectation = Expectation::kContinue;
    }
  }

  Result<void> ReadConnection(std::string_view value) {
    for (;;) {
      const std::size_t comma = value.find(',');
      const std::string_view option = TrimOws(value.substr(0, comma));
      if (!option.empty() && !IsToken(option)) return Malformed("Connection holds an option that is not a token");
      asks_close_ |= EqualsIgnoreCase(option, "close");
      asks_keep_alive_ |= EqualsIgnoreCase(option, "keep-alive");
      if (comma == std::string_view::npos) return {};
      value.remove_prefix(comma + 1);
    }
  }

  Result<void> ReadLength(std::string_view value) {
    if (head_.body == BodyFraming::kLength) return Malformed("Content-Length is given twice");
    if (head_.body == BodyFraming::kChunked) return MixedFraming();
    if (value.empty() || !std::ranges::all_of(value, IsDigit)) return Malformed("Content-Length is not a number");
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    std::uint64_t length = 0;
    for (const char c : value) {
      const auto digit = static_cast<std::uint64_t>(c - '0');
      if (length > (kMax - digit) / 10) return Malformed("Content-Length is beyond every bound");
      length = length * 10 + digit;
    }
    head_.body = BodyFraming::kLength;
    head_.content_length = length;
    return {};
  }

  Result<void> ReadCoding(std::string_view value) {
    if (head_.body == BodyFraming::kChunked) return Malformed("Transfer-Encoding is given twice");
    if (head_.body == BodyFraming::kLength) return MixedFraming();
    if (head_.minor_version == 0) return Malformed("Transfer-Encoding is not part of HTTP/1.0");
    if (!EqualsIgnoreCase(value, "chunked")) return Malformed("Transfer-Encoding is not exactly chunked");
    head_.body = BodyFraming::kChunked;
    return {};
  }

  static Result<void> MixedFraming() { return Malformed("both Content-Length and Transfer-Encoding are given"); }

  Result<void> Conclude() {
    if (!has_host_ && head_.minor_version == 1) return Malformed("Host is missing");
    head_.keep_alive = !asks_close_ && (head_.minor_version == 1 || asks_keep_alive_);
    if (head_.minor_version == 0 && head_.expectation == Expectation::kContinue) {
      head_.expectation = Expectation::kNone;
    }
    return {};
  }

  std::string_view rest_;
  RequestHead head_;
  bool has_host_ = false;
  bool asks_close_ = false;
  bool asks_keep_alive_ = false;
};

}  // namespace

std::optional<std::string_view> RequestHead::Find(std::string_view name) const {
  for (const HeaderField& field : fields) {
    if (EqualsIgnoreCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::size_t RequestHead::Count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(fields, [name](const HeaderField& field) { return EqualsIgnoreCase(field.name, name); }));
}

Result<std::optional<std::size_t>> FindHeadEnd(std::string_view buffered, std::size_t already_searched) {
  for (std::size_t at = buffered.find('\n', already_searched); at != std::string_view::npos;
       at = buffered.find('\n', at + 1)) {
    if (at == 0 || buffered[at - 1] != '\r') return Malformed("request head holds a bare LF");
    if (at >= 3 && buffered[at - 2] == '\n' && buffered[at - 3] == '\r') return at + 1;
  }
  return std::nullopt;
}

Result<RequestHead> ParseRequestHead(std::string_view head) { return HeadParser(head).Parse(); }

}  // namespace lazaret::wire
