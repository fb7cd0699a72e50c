#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "wire/scanner_protocol.h"

namespace lazaret::scanner {

// One file that libclamav opened: the content itself or something inside it.
struct Layer {
  std::string_view type;         // libclamav's name for it, such as "CL_TYPE_ZIP"
  std::optional<Bytes> content;  // all of it; empty when it could not be read
};

struct Incomplete {
  wire::OutcomeReason reason;
  std::string detail;
};

// What libclamav 1.4 leaves out of a layer without saying so, as far as the layer alone shows it: RAR without UnRAR,
// ZIP members packed with methods that it does not know (APPNOTE.TXT 4.4.5) or with hidden headers (both also behind an
// executable), and what encryption_check.h and format_check.h name.
std::vector<Incomplete> CheckLayer(const Layer& layer, bool has_rar);

// Whether the layer is a ZIP file as a whole, by its type or by how it starts.
bool IsZip(const Layer& layer);

// An archive that is not empty but in which libclamav found no layer could not be opened: it says nothing about
// unknown packing methods in these types.
bool IsOpaqueWithoutLayers(std::string_view type);

}  // namespace lazaret::scanner
