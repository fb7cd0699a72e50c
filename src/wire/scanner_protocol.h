#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

// The messages between the server, the zygote and its scanners. One message is one SEQPACKET datagram: a type byte,
// then the fields in the order given here, integers little-endian, strings and lists behind a 32-bit length.
// Whatever a scanner sends is untrusted: Decode checks every length and value and refuses trailing bytes.
namespace lazaret::wire {

inline constexpr std::size_t kMaxProtocolText = 4096;  // bytes in one string
inline constexpr std::size_t kMaxProtocolItems = 256;  // items in one list

// Server to zygote, first of all: load the signatures and prepare.
struct LoadRequest {
  std::string signature_directory;  // immutable while it is read
  std::string temp_directory;       // scanner slots get their temporary directories below it
  std::string user;                 // to become when started as root; empty stays root
  std::uint32_t slots = 1;          // scanners at most; slot numbers are below it
  std::uint64_t temp_bytes = 0;     // size of one scanner's temporary directory
  std::uint64_t memory_bytes = 0;   // address space that one scanner may take beyond the signatures
  std::uint64_t max_file_bytes = 0;
  std::uint64_t max_scan_bytes = 0;  // over all layers of one content
  std::uint32_t max_recursion = 0;
  std::uint32_t max_files = 0;  // members of all layers of one content
  bool detect_pua = false;      // possibly unwanted applications
  bool low_priority = false;    // load so that it disturbs others less, and is killed first when memory runs out
  // Measures for speed, none of which changes a verdict (scanner/huge_pages.h, logical_expression.h, match_state.h).
  bool huge_pages = true;
  bool skip_unmatched = true;
  bool share_match_state = true;
  friend bool operator==(const LoadRequest&, const LoadRequest&) = default;
};

// Server to zygote: fork a scanner into a slot that is free.
struct ForkRequest {
  std::uint32_t slot = 0;
  friend bool operator==(const ForkRequest&, const ForkRequest&) = default;
};

// One official database, for people: its name without extension, as in its header.
struct DatabaseInfo {
  std::string name;
  std::uint32_t version = 0;
  std::uint32_t signatures = 0;
  std::int64_t built_at = 0;  // seconds since 1970
  friend bool operator==(const DatabaseInfo&, const DatabaseInfo&) = default;
};

// Zygote to server: the signatures are loaded.
struct Ready {
  std::string engine_version;  // of libclamav, "1.4.6"
  std::uint32_t functionality_level = 0;
  std::uint64_t signatures = 0;
  std::vector<DatabaseInfo> databases;
  std::vector<std::string> features;  // what can change a verdict, such as "rar"; sorted
  std::vector<std::string> sandbox;   // the layers that are in force: "seccomp", "landlock", "tmpfs", "netns", ...
  std::vector<std::string> errors;    // what libclamav complained about and loaded the rest all the same
  std::vector<std::string> warnings;  // sandbox layers that are missing and load warnings, for the log
  std::uint64_t load_ms = 0;
  friend bool operator==(const Ready&, const Ready&) = default;
};

// Zygote to server, then it ends: why it cannot serve.
struct Failed {
  std::string what;
  bool blames_signatures = false;  // they would not load elsewhere either
  friend bool operator==(const Failed&, const Failed&) = default;
};

// Zygote to server; comes with two descriptors: the scanner's socket, its pidfd (pidfd_open(2)).
struct Forked {
  std::uint32_t slot = 0;
  std::int32_t pid = 0;
  friend bool operator==(const Forked&, const Forked&) = default;
};

struct ForkFailed {
  std::uint32_t slot = 0;
  std::string what;
  friend bool operator==(const ForkFailed&, const ForkFailed&) = default;
};

// Zygote to server: the scanner of this slot has ended and its temporary directory has been emptied.
struct Exited {
  std::uint32_t slot = 0;
  std::int32_t pid = 0;
  std::int32_t wait_status = 0;  // wait(2)
  friend bool operator==(const Exited&, const Exited&) = default;
};

// Server to scanner; comes with the content's descriptor.
struct ScanRequest {
  std::uint64_t number = 0;         // repeated in the outcome
  std::uint64_t size = 0;           // of the content; an outcome for any other size is an error
  std::uint32_t time_limit_ms = 0;  // the scanner's own, softer limit; the server kills at the deadline
  friend bool operator==(const ScanRequest&, const ScanRequest&) = default;
};

enum class OutcomeKind : std::uint8_t { kClean = 1, kInfected = 2, kIncomplete = 3 };

// Why an inspection is not complete.
enum class OutcomeReason : std::uint8_t {
  kNone = 0,
  kEncrypted = 1,
  kLimitExceeded = 2,
  kTimeout = 3,
  kUnsupported = 4,     // a layer that this build cannot open
  kTemporarySpace = 5,  // the temporary directory is full or gone
  kEngineError = 6,
};

// Scanner to server. kClean has neither signatures nor reason, kInfected at least one signature, kIncomplete a reason;
// Decode refuses everything else.
struct Outcome {
  std::uint64_t number = 0;
  std::uint64_t size = 0;  // bytes of the content as the scanner saw it
  OutcomeKind kind = OutcomeKind::kIncomplete;
  OutcomeReason reason = OutcomeReason::kEngineError;
  std::vector<std::string> signatures;
  std::string detail;  // for people: the limit that was exceeded, the error's text
  std::uint64_t scan_us = 0;
  bool is_last = false;  // the scanner ends now and is to be replaced
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

using ToZygote = std::variant<LoadRequest, ForkRequest>;
using FromZygote = std::variant<Ready, Failed, Forked, ForkFailed, Exited>;

// Strings and lists beyond the bounds above are cut, so that a message always fits a datagram.
std::vector<std::byte> Encode(const LoadRequest&);
std::vector<std::byte> Encode(const ForkRequest&);
std::vector<std::byte> Encode(const Ready&);
std::vector<std::byte> Encode(const Failed&);
std::vector<std::byte> Encode(const Forked&);
std::vector<std::byte> Encode(const ForkFailed&);
std::vector<std::byte> Encode(const Exited&);
std::vector<std::byte> Encode(const ScanRequest&);
std::vector<std::byte> Encode(const Outcome&);

// kMalformed for anything that Encode could not have written.
Result<ToZygote> DecodeToZygote(Bytes message);
Result<FromZygote> DecodeFromZygote(Bytes message);
Result<ScanRequest> DecodeScanRequest(Bytes message);
Result<Outcome> DecodeOutcome(Bytes message);

}  // namespace lazaret::wire
