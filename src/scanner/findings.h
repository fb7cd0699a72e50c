#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scanner/layer_check.h"
#include "scanner/zip_check.h"
#include "wire/scanner_protocol.h"

namespace lazaret::scanner {

// Why `alert`, a name that libclamav reports like a signature's, says only that the inspection was cut short
// ("Heuristics.Limits.Exceeded.*", "Heuristics.Encrypted.*", "Heuristics.XZ.DicSizeLimit": a dictionary that is larger
// than libclamav wants to allocate); empty for the name of a detection.
std::optional<wire::OutcomeReason> IncompleteReason(std::string_view alert);

struct ScanLimits {
  std::uint64_t file_bytes;  // of one layer
  std::uint64_t scan_bytes;  // of all layers together, the content itself included
};

// Everything that came to light while one content was scanned, and the outcome that it adds up to: clean only when
// nothing at all was noted.
class Findings {
 public:
  Findings(ScanLimits limits, bool has_rar) : limits_(limits), has_rar_(has_rar) {}

  // A name from libclamav: a detection, or the news that something was left out.
  void AddAlert(std::string_view name);
  // The first detail for each reason is kept. `reason` must not be kNone.
  void AddIncomplete(wire::OutcomeReason reason, std::string detail);
  // Call for each layer in the order in which libclamav opens them. `level` is 0 for the content itself.
  void AddLayer(const Layer& layer, std::uint32_t level);
  // A member of an archive that is encrypted. libclamav takes chance bytes in programs for archives: a member larger
  // than any layer so far is none.
  void AddEncryptedMember(std::string_view container, std::uint64_t packed_size);

  bool HasDetection() const { return !signatures_.empty(); }
  bool IsComplete() const { return incomplete_.empty(); }

  // A detection wins over everything; then reasons that may pass on a second try; then lasting ones.
  // The caller fills in number, size and time.
  wire::Outcome Conclude();

 private:
  struct OpenContainer {
    std::uint32_t level;
    std::string type;
    bool has_layers;
    std::multiset<ZipMember> missing;  // members that must come out of it and have not yet
  };
  void CheckStream(const Layer& layer);
  void OpenContainers(const Layer& layer, std::uint32_t level);
  void TickOff(std::string_view content);
  void CloseContainers(std::uint32_t level);

  ScanLimits limits_;
  bool has_rar_;
  std::uint64_t scanned_bytes_ = 0;
  std::uint64_t unpacked_bytes_ = 0;  // by CheckStream
  std::uint64_t largest_layer_ = 0;
  std::vector<std::string> signatures_;
  std::vector<Incomplete> incomplete_;
  std::vector<OpenContainer> containers_;
};

}  // namespace lazaret::scanner
