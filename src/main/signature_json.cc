#include "main/signature_json.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"

namespace lazaret {
namespace {

std::string Quoted(std::string_view text) { return fmt::format(R"("{}")", EscapeJson(text)); }

std::string TimeJson(const std::optional<WallTime>& time) { return time ? Quoted(FormatRfc3339(*time)) : "null"; }

std::string DigestJson(const std::optional<Digest>& digest) { return digest ? Quoted(digest->Hex()) : "null"; }

std::string ListJson(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ",") + Quoted(text);
  return "[" + list + "]";
}

// null when there is none.
template <class T>
std::string OrNull(const std::optional<T>& value, std::string (*show)(const T&)) {
  return value ? show(*value) : "null";
}

std::string DatabasesJson(const std::vector<DatabaseVersion>& databases) {
  std::string list;
  for (const DatabaseVersion& one : databases) {
    list += fmt::format(R"({}{{"name":{},"version":{},"built_at":"{}"}})", list.empty() ? "" : ",", Quoted(one.name),
                        one.version, FormatRfc3339(one.built_at));
  }
  return "[" + list + "]";
}

// null for the built-in test set, which has no age.
std::string AgeJson(const clamav::SetSummary& set, bool is_test_set, WallTime now) {
  const auto& date = set.built_at ? set.built_at : set.files_at;
  if (!date || is_test_set) return "null";
  return std::to_string(std::max(std::chrono::floor<seconds>(now - *date), seconds(0)).count());
}

std::string SetJson(const std::optional<clamav::SetSummary>& set, bool is_test_set, WallTime now) {
  if (!set) return "null";
  return fmt::format(
      R"({{"digest":"{}","label":{},"signatures":{},"built_at":{},"files_at":{},"age_s":{},"loaded_at":{},)"
      R"("databases":{}}})",
      set->digest.Hex(), Quoted(set->label), set->signatures, TimeJson(set->built_at), TimeJson(set->files_at),
      AgeJson(*set, is_test_set, now), TimeJson(set->loaded_at), DatabasesJson(set->databases));
}

std::string CandidateJson(const clamav::CandidateStatus& candidate) {
  return fmt::format(R"({{"digest":{},"phase":"{}","since":{},"phase_since":{},"expected_load_ms":{},"waits_for":{}}})",
                     DigestJson(candidate.digest), ToString(candidate.phase), TimeJson(candidate.since),
                     TimeJson(candidate.phase_since),
                     candidate.expected ? std::to_string(candidate.expected->count()) : "null",
                     candidate.waits_for.empty() ? "null" : Quoted(candidate.waits_for));
}

std::string RefusedJson(const clamav::RefusedSet& refused) {
  return fmt::format(R"({{"digest":{},"kind":"{}","reason":{},"at":{},"retry_at":{}}})", DigestJson(refused.digest),
                     ToString(refused.why.kind), Quoted(refused.why.reason), TimeJson(refused.at),
                     TimeJson(refused.retry_at));
}

std::string PinJson(const clamav::SignaturePin& pin) {
  return fmt::format(R"({{"digest":"{}","label":{},"reason":{},"since":{}}})", pin.refused.Hex(), Quoted(pin.label),
                     Quoted(pin.reason), TimeJson(pin.since));
}

std::string JumpJson(const clamav::DetectionJump& jump) {
  return fmt::format(
      R"({{"digest":"{}","scans_before":{},"detections_before":{},"scans_after":{},"detections_after":{},"at":{},)"
      R"("rolled_back":{}}})",
      jump.digest.Hex(), jump.scans_before, jump.detections_before, jump.scans_after, jump.detections_after,
      TimeJson(jump.at), jump.rolled_back);
}

clamav::RefusalKind KindOf(Errc code) {
  return code == Errc::kNotFound ? clamav::RefusalKind::kEmpty : clamav::RefusalKind::kUnreadable;
}

}  // namespace

std::string SignatureJson(const clamav::SignatureStatus& status, const std::optional<OldSignatures>& old,
                          WallTime now) {
  const bool is_test_set = status.directory.empty();
  return fmt::format(
      R"({{"directory":{},"in_use":{},"mode":{},"current":{},"previous":{},"candidate":{},"refused":{},"pin":{},)"
      R"("jump":{},"looked_at":{},"warning":{},"load_errors":{}}})",
      Quoted(status.directory), status.engine != nullptr, Quoted(status.last_mode),
      SetJson(status.current, is_test_set, now), SetJson(status.previous, is_test_set, now),
      OrNull(status.candidate, CandidateJson), OrNull(status.last_refusal, RefusedJson), OrNull(status.pin, PinJson),
      OrNull(status.last_jump, JumpJson), TimeJson(status.looked_at), old ? Quoted(old->text) : "null",
      ListJson(status.load_errors));
}

std::string SignatureCheckJson(const std::filesystem::path& directory, const Result<clamav::SignatureCheck>& check) {
  std::optional<clamav::Refusal> refusal;
  if (!check) {
    refusal = clamav::Refusal{KindOf(check.error().code), check.error().what};
  } else {
    refusal = check->refusal;
  }
  const std::string refused =
      refusal ? fmt::format(R"({{"kind":"{}","reason":{}}})", ToString(refusal->kind), Quoted(refusal->reason))
              : "null";
  std::string out =
      fmt::format(R"({{"directory":{},"usable":{},"refused":{})", Quoted(directory.native()), !refusal, refused);
  auto to = std::back_inserter(out);
  if (check) {
    fmt::format_to(to, R"(,"digest":"{}","files":{},"bytes":{})", check->digest.Hex(), check->files, check->bytes);
  }
  if (check && check->engine != nullptr) {
    fmt::format_to(
        to, R"(,"label":{},"signatures":{},"built_at":{},"load_ms":{},"finds_eicar":{},"load_errors":{},"warnings":{})",
        Quoted(check->engine->signature_label), check->engine->signatures, TimeJson(check->engine->built_at),
        check->load_ms, check->finds_eicar, ListJson(check->load_errors), ListJson(check->warnings));
  }
  return out + "}";
}

}  // namespace lazaret
