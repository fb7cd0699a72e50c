#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace lazaret::webhook {

struct Settings {
  std::vector<std::string> hosts;             // as HostPattern takes them; none: callbacks are off
  std::vector<std::string> private_networks;  // as Network takes them
  std::vector<std::string> secrets;           // as Signer takes them
  std::string ca_file;                        // PEM; empty: the authorities that the system trusts
  std::uint32_t attempts = 12;                // of one message, then it is given up
  milliseconds timeout{15'000};               // of one attempt
  std::size_t concurrency = 32;               // messages under way at once
  std::size_t concurrency_per_host = 4;
};

inline constexpr std::uint32_t kMaxAttempts = 100;
inline constexpr milliseconds kMaxTimeout = std::chrono::minutes(5);
inline constexpr std::size_t kMaxConcurrency = 1000;

// Whether a Deliverer can be made of them, but for the certificates. kMalformed names the setting and the cure.
Result<void> CheckSettings(const Settings& settings);

}  // namespace lazaret::webhook
