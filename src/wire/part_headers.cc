#include "wire/part_headers.h"

#include <fmt/format.h>

#include "wire/header_value.h"
#include "wire/http_text.h"
#include "wire/percent.h"

namespace lazaret::wire {
namespace {

std::unexpected<Error> Malformed(std::string what) { return Fail(Errc::kMalformed, std::move(what)); }

// Browsers write a quote in a name as %22 (WHATWG HTML, multipart/form-data encoding) but leave "%" itself alone, so
// only this one sequence can be undone.
std::string UndoBrowserQuotes(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find("%22");
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += '"';
    text.remove_prefix(at + 3);
  }
}

constexpr bool IsAttrChar(char c) { return IsTokenChar(c) && c != '*' && c != '\'' && c != '%'; }

// ext-value = charset "'" [ language ] "'" value-chars (RFC 8187 3.2.1)
Result<std::string> DecodeExtendedValue(std::string_view text) {
  const std::size_t first = text.find('\'');
  const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
  if (second == std::string_view::npos) return Malformed("filename* does not begin with a character set");
  if (!EqualsIgnoreCase(text.substr(0, first), "UTF-8")) return Malformed("filename* is not in UTF-8");
  text.remove_prefix(second + 1);
  if (!std::ranges::all_of(text, [](char c) { return IsAttrChar(c) || c == '%'; })) {
    return Malformed("filename* holds a character that must be percent-encoded");
  }
  auto decoded = PercentDecode(text);
  if (!decoded) return Malformed(fmt::format("filename*: {}", decoded.error().what));
  if (HasControl(*decoded)) return Malformed(fmt::format("filename* holds {}", NameFirstControl(*decoded)));
  return decoded;
}

}  // namespace

Result<void> PartHeaderReader::Add(std::string_view line) {
  if (HasControl(line)) return Malformed(fmt::format("a header holds {}", NameFirstControl(line)));
  if (++fields_ > kMaxPartHeaderFields) {
    return Fail(Errc::kTooLarge, fmt::format("it has more than {} header fields", kMaxPartHeaderFields));
  }
  if (IsOws(line.front())) return Malformed("a header line begins with whitespace; folded lines are not accepted");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Malformed("a header line has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimOws(line.substr(colon + 1));
  if (!IsToken(name)) return Malformed("a header name is not a token");
  if (EqualsIgnoreCase(name, "content-disposition")) return ReadDisposition(value);
  if (EqualsIgnoreCase(name, "content-transfer-encoding")) return ReadTransferEncoding(value);
  if (EqualsIgnoreCase(name, "content-type")) {
    if (has_content_type_) return Malformed("Content-Type is given twice");
    has_content_type_ = true;
    headers_.content_type = value;
  }
  return {};
}

Result<PartHeaders> PartHeaderReader::Finish() {
  if (!has_disposition_) return Malformed("Content-Disposition is missing");
  return std::move(headers_);
}

Result<void> PartHeaderReader::ReadDisposition(std::string_view value) {
  if (has_disposition_) return Malformed("Content-Disposition is given twice");
  has_disposition_ = true;
  const auto parsed = ParseParameterizedValue(value);
  if (!parsed) return Malformed(fmt::format("Content-Disposition: {}", parsed.error().what));
  if (!EqualsIgnoreCase(parsed->value, "form-data")) return Malformed("Content-Disposition is not form-data");
  const std::string* name = parsed->Find("name");
  if (name == nullptr) return Malformed("Content-Disposition has no name");
  headers_.name = UndoBrowserQuotes(*name);
  if (const std::string* extended = parsed->Find("filename*")) {
    auto decoded = DecodeExtendedValue(*extended);
    if (!decoded) return std::unexpected(std::move(decoded.error()));
    headers_.filename = *std::move(decoded);
  } else if (const std::string* plain = parsed->Find("filename")) {
    headers_.filename = UndoBrowserQuotes(*plain);
  }
  return {};
}

// A decoder further on could see another file than the one that we scan: only encodings that change nothing pass.
Result<void> PartHeaderReader::ReadTransferEncoding(std::string_view value) {
  for (const std::string_view same : {"binary", "8bit", "7bit"}) {
    if (EqualsIgnoreCase(value, same)) return {};
  }
  return Malformed("Content-Transfer-Encoding is none of binary, 8bit and 7bit");
}

}  // namespace lazaret::wire
