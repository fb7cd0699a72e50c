#include "scanner/findings.h"

#include <zlib.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "scanner/stream_check.h"

namespace lazaret::scanner {
namespace {

using wire::OutcomeReason;

constexpr std::size_t kMaxSignatures = 64;

constexpr std::array kPrecedence = {
    OutcomeReason::kTemporarySpace, OutcomeReason::kEngineError, OutcomeReason::kTimeout,
    OutcomeReason::kLimitExceeded,  OutcomeReason::kUnsupported, OutcomeReason::kEncrypted,
};

}  // namespace

std::optional<OutcomeReason> IncompleteReason(std::string_view alert) {
  if (alert == "Heuristics.Limits.Exceeded.MaxScanTime") return OutcomeReason::kTimeout;
  if (alert.starts_with("Heuristics.Limits.Exceeded")) return OutcomeReason::kLimitExceeded;
  if (alert == "Heuristics.XZ.DicSizeLimit") return OutcomeReason::kLimitExceeded;
  if (alert.starts_with("Heuristics.Encrypted.")) return OutcomeReason::kEncrypted;
  return std::nullopt;
}

void Findings::AddAlert(std::string_view name) {
  if (const auto reason = IncompleteReason(name)) {
    AddIncomplete(*reason, std::string(name));
    return;
  }
  std::string signature(name.empty() ? "Unnamed" : name);
  if (signatures_.size() >= kMaxSignatures || std::ranges::find(signatures_, signature) != signatures_.end()) return;
  signatures_.push_back(std::move(signature));
}

void Findings::AddIncomplete(OutcomeReason reason, std::string detail) {
  const auto same = [&](const Incomplete& one) { return one.reason == reason; };
  if (std::ranges::any_of(incomplete_, same)) return;
  incomplete_.push_back({reason, std::move(detail)});
}

void Findings::AddLayer(const Layer& layer, std::uint32_t level) {
  CloseContainers(level);
  if (!containers_.empty()) containers_.back().has_layers = true;
  // libclamav cuts extracted files off at its own limits without a word; those are a little higher than ours, so that
  // whatever it cut is seen here as over the limit.
  if (!layer.content) return AddIncomplete(OutcomeReason::kEngineError, "a layer could not be read");
  const std::uint64_t size = layer.content->size();
  largest_layer_ = std::max(largest_layer_, size);
  if (size > limits_.file_bytes) {
    AddIncomplete(OutcomeReason::kLimitExceeded, "Heuristics.Limits.Exceeded.MaxFileSize");
  }
  if (size > limits_.scan_bytes - scanned_bytes_) {
    AddIncomplete(OutcomeReason::kLimitExceeded, "Heuristics.Limits.Exceeded.MaxScanSize");
  }
  scanned_bytes_ += std::min(size, limits_.scan_bytes - scanned_bytes_);
  for (Incomplete& one : CheckLayer(layer, has_rar_)) AddIncomplete(one.reason, std::move(one.detail));
  CheckStream(layer);
  TickOff(AsText(*layer.content));
  OpenContainers(layer, level);
}

void Findings::CheckStream(const Layer& layer) {
  const std::string_view content = AsText(*layer.content);
  // A stream's content is a layer: all of them together fit as long as the layers do.
  const std::uint64_t limit = limits_.scan_bytes - unpacked_bytes_;
  StreamCheck check{};
  if (layer.type == "CL_TYPE_GZ") check = CheckGzip(content, limit);
  if (layer.type == "CL_TYPE_BZ") check = CheckBzip2(content, limit);
  unpacked_bytes_ += check.unpacked;
  if (check.fault) AddIncomplete(check.fault->reason, std::move(check.fault->detail));
}

void Findings::OpenContainers(const Layer& layer, std::uint32_t level) {
  if (IsOpaqueWithoutLayers(layer.type)) containers_.push_back({level, std::string(layer.type), false, {}});
  const std::string_view content = AsText(*layer.content);
  auto listing = IsZip(layer) ? ReadZip(content) : ReadAppendedZip(content);
  if (!listing) return;
  for (Incomplete& fault : listing->faults) AddIncomplete(fault.reason, std::move(fault.detail));
  std::multiset<ZipMember> members(listing->members.begin(), listing->members.end());
  if (!members.empty()) containers_.push_back({level, "ZIP archive", true, std::move(members)});
}

// A member that was cut off or damaged in any way differs in its size or its checksum.
void Findings::TickOff(std::string_view content) {
  const auto size = static_cast<std::uint32_t>(content.size());
  std::optional<std::uint32_t> crc;
  for (OpenContainer& container : containers_) {
    const auto same_size = container.missing.lower_bound({size, 0});
    if (same_size == container.missing.end() || same_size->size != size) continue;
    if (!crc)
      crc = static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
    if (const auto found = container.missing.find({size, *crc}); found != container.missing.end()) {
      container.missing.erase(found);
    }
  }
}

void Findings::AddEncryptedMember(std::string_view container, std::uint64_t packed_size) {
  if (packed_size > largest_layer_) return;
  AddIncomplete(OutcomeReason::kEncrypted, "encrypted member of " + std::string(container));
}

void Findings::CloseContainers(std::uint32_t level) {
  while (!containers_.empty() && containers_.back().level >= level) {
    if (!containers_.back().has_layers) {
      AddIncomplete(OutcomeReason::kUnsupported, containers_.back().type + " of which nothing could be opened");
    }
    if (!containers_.back().missing.empty()) {
      AddIncomplete(OutcomeReason::kUnsupported, containers_.back().type + " with a member that could not be unpacked");
    }
    containers_.pop_back();
  }
}

wire::Outcome Findings::Conclude() {
  CloseContainers(0);
  wire::Outcome outcome;
  if (HasDetection()) {
    outcome.kind = wire::OutcomeKind::kInfected;
    outcome.reason = OutcomeReason::kNone;
    outcome.signatures = signatures_;
    return outcome;
  }
  if (incomplete_.empty()) {
    outcome.kind = wire::OutcomeKind::kClean;
    outcome.reason = OutcomeReason::kNone;
    return outcome;
  }
  const auto rank = [](const Incomplete& one) {
    return std::ranges::find(kPrecedence, one.reason) - kPrecedence.begin();
  };
  const Incomplete& worst = *std::ranges::min_element(incomplete_, {}, rank);
  outcome.kind = wire::OutcomeKind::kIncomplete;
  outcome.reason = worst.reason;
  outcome.detail = worst.detail;
  return outcome;
}

}  // namespace lazaret::scanner
