#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

// Contents that show what a clamd does with what it cannot, or does not, look into. All harmless.
namespace lazaret::clamav {

// The test file of EICAR: every signature set knows it.
std::string EicarProbe();
// ZIP files in each other, deeper than clamd can be told to go: found as MaxRecursion with AlertExceedsMax, OK without.
std::string DeepProbe();
// A ZIP file whose member says that it is encrypted: found with AlertEncrypted, OK without.
std::string EncryptedProbe();
// A ZIP file of exactly `size` bytes, at least kLeastSizedProbe, that begins with the EICAR test file: found unless it
// is over a limit of the server. The descriptor of an anonymous file, nearly all of it a hole.
inline constexpr std::uint64_t kLeastSizedProbe = 4096;
Result<UniqueFd> SizedProbe(std::uint64_t size);

// An anonymous file that holds `bytes`.
Result<UniqueFd> MakeProbeFile(const std::string& bytes);

}  // namespace lazaret::clamav
