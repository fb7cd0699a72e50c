#include "clamd/finding.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace lazaret::clamd {
namespace {

// "" for what says nothing about the content. libclamav's own name for the limit, when the scanner passed it on.
std::string HeuristicName(const Verdict& verdict) {
  const std::string& detail = verdict.detail();
  const bool is_name = detail.starts_with("Heuristics.") &&
                       std::ranges::none_of(detail, [](unsigned char c) { return c <= ' ' || c >= 0x7f; });
  switch (verdict.reason()) {
    case Reason::kEncrypted: return is_name ? detail : "Heuristics.Encrypted";
    case Reason::kLimitExceeded: return is_name ? detail : "Heuristics.Limits.Exceeded";
    case Reason::kTimeout: return "Heuristics.Limits.Exceeded.MaxScanTime";
    case Reason::kUnsupported: return "Heuristics.Unsupported";
    case Reason::kTemporarySpace:
    case Reason::kEngineError:
    case Reason::kEngineCrashed:
    case Reason::kContentLost:
    case Reason::kOverridden: return "";
    case Reason::kNone: break;
  }
  throw std::logic_error("unscannable without a reason");
}

// Clients take what follows the last colon of a reply.
Finding Unjudged(std::string text) {
  std::ranges::replace(text, ':', ';');
  return Finding::Failed(text);
}

}  // namespace

Finding Finding::Of(const Verdict& verdict, UnscannableAs unscannable) {
  switch (verdict.kind()) {
    case VerdictKind::kClean: return Finding(Kind::kClean, {});
    case VerdictKind::kInfected: return Finding(Kind::kFound, verdict.signatures());
    case VerdictKind::kUnscannable: break;
  }
  if (unscannable == UnscannableAs::kFound) {
    if (std::string name = HeuristicName(verdict); !name.empty()) return Finding(Kind::kFound, {std::move(name)});
  }
  return Unjudged(fmt::format("Unscannable, {}{}", ToString(verdict.reason()),
                              verdict.detail().empty() ? "" : fmt::format(" ({})", verdict.detail())));
}

Finding Finding::Of(const Answer& answer, UnscannableAs unscannable) {
  if (answer.overriding == nullptr) return Of(*answer.verdict, unscannable);
  if (answer.overriding->kind == VerdictKind::kClean) return Finding(Kind::kClean, {});
  return Finding(Kind::kFound, {answer.overriding->signature});
}

Finding Finding::Of(const Error& error) {
  switch (error.code) {
    case Errc::kTimeout: return Failed("Time limit reached");
    case Errc::kTooLarge:
    case Errc::kOverloaded:
    case Errc::kUnavailable: return Unjudged(fmt::format("Not scanned, {}", error.what));
    default: return Failed("Not scanned, internal error");
  }
}

std::string Finding::Reply(const wire::ClamdAnswer& answer, std::string_view subject, bool all_matches) const {
  switch (kind_) {
    case Kind::kClean: return answer.Ok(subject);
    case Kind::kError: return answer.Error(subject, texts_.front());
    case Kind::kFound: break;
  }
  if (!all_matches) return answer.Found(subject, texts_.front());
  std::string replies;
  for (const std::string& signature : texts_) replies += answer.Found(subject, signature);
  return replies;
}

}  // namespace lazaret::clamd
