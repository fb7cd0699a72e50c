#include "scanner/match_state.h"

#include <clamav.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "scanner/huge_pages.h"
#include "scanner/interposition.h"

namespace lazaret::scanner {
namespace {

constexpr std::size_t kUnit = kHugePageSize;  // where the kernel makes one of it, a single page table entry maps it
constexpr std::size_t kParts = 64;            // of one logical signature
constexpr std::size_t kRow = kParts * sizeof(std::uint32_t);
constexpr std::uint32_t kNoOffset = 0xfffffffe;  // CLI_OFF_NONE
constexpr int kHighDescriptor = 64;              // above those that have a fixed number

// struct cli_ac_data of libclamav 1.4 (matcher-ac.h) as far as we read or write it; LayoutIsKnown checks it.
struct MatchState {
  void* offset_matrix;
  std::uint32_t partial_signatures;
  std::uint32_t signatures;  // logical ones
  std::uint32_t relative_offsets;
  std::uint32_t** matches;  // the rows of the three arrays
  std::uint32_t** last_offsets;
  std::uint32_t** first_offsets;
  void** offset_lists;         // one for each signature, made when it is needed
  std::uint8_t* yara_matches;  // one for each signature
};
static_assert(offsetof(MatchState, signatures) == 0x0c && offsetof(MatchState, matches) == 0x18 &&
              offsetof(MatchState, yara_matches) == 0x38);
constexpr std::size_t kStateSize = 0xd8;

constinit Real<int(MatchState*, std::uint32_t, std::uint32_t, std::uint32_t, std::uint8_t)> real_make(
    "cli_ac_initdata");
constinit Real<void(MatchState*)> real_free("cli_ac_freedata");

// Global, since libclamav calls the functions below without an argument of ours. -1: not in use.
int zeroes_in_use = -1;
int no_offsets_in_use = -1;

std::size_t MappedSize(std::uint32_t signatures) { return (signatures * kRow + kUnit - 1) / kUnit * kUnit; }

// The same unit of a file again and again, at a multiple of its size. Null when there is no address space.
std::byte* Map(std::size_t size, int file) {
  void* const reserved = ::mmap(nullptr, size + kUnit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(reserved);
  const std::size_t before = (kUnit - reinterpret_cast<std::uintptr_t>(begin) % kUnit) % kUnit;
  std::byte* const array = begin + before;
  if (before > 0) ::munmap(begin, before);
  if (before < kUnit) ::munmap(array + size, kUnit - before);
  for (std::size_t at = 0; at < size; at += kUnit) {
    if (::mmap(array + at, kUnit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) ==
        MAP_FAILED) {
      ::munmap(array, size);
      return nullptr;
    }
  }
  return array;
}

// An array of one row for each signature, and the table of its rows. As libclamav has it: the table is malloc(3)'s, and
// the first row is the array's address.
std::uint32_t** MapRows(std::uint32_t signatures, int file) {
  auto* const rows = static_cast<std::uint32_t**>(std::malloc(signatures * sizeof(std::uint32_t*)));
  if (rows == nullptr) return nullptr;
  std::byte* const array = Map(MappedSize(signatures), file);
  if (array == nullptr) {
    std::free(rows);
    return nullptr;
  }
  for (std::uint32_t i = 0; i < signatures; ++i) rows[i] = reinterpret_cast<std::uint32_t*>(array + i * kRow);
  return rows;
}

// Leaves what libclamav can free: a table without an array.
void UnmapRows(std::uint32_t** rows, std::uint32_t signatures) {
  if (rows == nullptr) return;
  ::munmap(rows[0], MappedSize(signatures));
  rows[0] = nullptr;
}

bool MakeMapped(MatchState& state, std::uint32_t signatures) {
  state.matches = MapRows(signatures, zeroes_in_use);
  state.last_offsets = MapRows(signatures, no_offsets_in_use);
  state.first_offsets = MapRows(signatures, no_offsets_in_use);
  state.offset_lists = static_cast<void**>(std::calloc(signatures, sizeof(void*)));
  state.yara_matches = static_cast<std::uint8_t*>(std::calloc(signatures, 1));
  if (state.matches != nullptr && state.last_offsets != nullptr && state.first_offsets != nullptr &&
      state.offset_lists != nullptr && state.yara_matches != nullptr) {
    state.signatures = signatures;
    return true;
  }
  for (auto** rows : {&state.matches, &state.last_offsets, &state.first_offsets}) {
    UnmapRows(*rows, signatures);
    std::free(*rows);
    *rows = nullptr;
  }
  std::free(std::exchange(state.offset_lists, nullptr));
  std::free(std::exchange(state.yara_matches, nullptr));
  return false;
}

bool ShouldBeMapped(std::uint32_t signatures) { return zeroes_in_use >= 0 && signatures >= kLeastMappedSignatures; }

// malloc(3) gives no address that is a multiple of the unit: its own data come before it.
bool IsMapped(const MatchState& state) {
  return ShouldBeMapped(state.signatures) && reinterpret_cast<std::uintptr_t>(state.matches[0]) % kUnit == 0;
}

// Has libclamav make a small state and looks whether everything is where MatchState has it.
bool LayoutIsKnown() {
  if (!real_make.Resolve() || !real_free.Resolve() || !std::string_view(::cl_retver()).starts_with("1.4."))
    return false;
  constexpr std::uint32_t kPartial = 3, kSignatures = 5, kRelative = 7;
  // Longer than any layout may be, to see that nothing beyond ours is written.
  alignas(MatchState) std::array<std::byte, 2 * kStateSize> memory;
  memory.fill(std::byte{0xa5});
  auto* const state = reinterpret_cast<MatchState*>(memory.data());
  if (real_make(state, kPartial, kSignatures, kRelative, 0) != 0) return false;
  const auto row_is = [](std::uint32_t** rows, std::uint32_t number, std::uint32_t value) {
    return rows != nullptr && rows[0] != nullptr && rows[number] == rows[0] + number * kParts &&
           std::all_of(rows[number], rows[number] + kParts, [&](std::uint32_t each) { return each == value; });
  };
  bool known =
      std::all_of(memory.begin() + kStateSize, memory.end(), [](std::byte each) { return each == std::byte{0xa5}; }) &&
      state->partial_signatures == kPartial && state->signatures == kSignatures && state->relative_offsets == kRelative;
  for (std::uint32_t i = 0; known && i < kSignatures; ++i) {
    known = row_is(state->matches, i, 0) && row_is(state->last_offsets, i, kNoOffset) &&
            row_is(state->first_offsets, i, kNoOffset) && state->offset_lists != nullptr &&
            state->offset_lists[i] == nullptr && state->yara_matches != nullptr && state->yara_matches[i] == 0;
  }
  // Another layout is not freed either: it is small, and there is only one.
  if (known) real_free(state);
  return known && state->signatures == 0;
}

Result<UniqueFd> MakeFile(const char* name, std::uint32_t value) {
  const UniqueFd made(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!made) return std::unexpected(SystemError("memfd_create", errno));
  if (::ftruncate(made.Get(), kUnit) != 0) return std::unexpected(SystemError("ftruncate", errno));
  std::byte* const at = Map(kUnit, made.Get());  // for an address that is a multiple of the unit
  if (at == nullptr) return std::unexpected(SystemError("mmap", errno));
  if (::mmap(at, kUnit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, made.Get(), 0) == MAP_FAILED) {
    return std::unexpected(SystemError("mmap", errno));
  }
  std::fill_n(reinterpret_cast<std::uint32_t*>(at), kUnit / sizeof value, value);
  (void)MakeHugePage(at);
  ::munmap(at, kUnit);
  if (::fcntl(made.Get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return std::unexpected(SystemError("sealing memory", errno));
  }
  UniqueFd high(::fcntl(made.Get(), F_DUPFD_CLOEXEC, kHighDescriptor));
  if (!high) return std::unexpected(SystemError("fcntl", errno));
  return high;
}

}  // namespace

Result<MatchStateFiles> MatchStateFiles::Make() {
  if (!LayoutIsKnown()) return Fail(Errc::kUnavailable, "libclamav lays its match state out in an unknown way");
  auto zeroes = MakeFile("matches", 0);
  if (!zeroes) return Fail(Errc::kUnavailable, std::move(zeroes.error().what));
  auto no_offsets = MakeFile("offsets", kNoOffset);
  if (!no_offsets) return Fail(Errc::kUnavailable, std::move(no_offsets.error().what));
  UniqueFd descriptors(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptors) return Fail(Errc::kUnavailable, SystemError("open /proc/self/fd", errno).what);
  return MatchStateFiles(*std::move(zeroes), *std::move(no_offsets), std::move(descriptors));
}

Result<MatchStateFiles> MatchStateFiles::ForScanner() const {
  const auto reopened = [this](const UniqueFd& file) -> Result<UniqueFd> {
    const UniqueFd low(::openat(descriptors_.Get(), std::to_string(file.Get()).c_str(), O_RDONLY | O_CLOEXEC));
    UniqueFd high(low ? ::fcntl(low.Get(), F_DUPFD_CLOEXEC, kHighDescriptor) : -1);
    if (!high) return std::unexpected(SystemError("opening the memory of match states", errno));
    return high;
  };
  auto zeroes = reopened(zeroes_);
  if (!zeroes) return std::unexpected(std::move(zeroes.error()));
  auto no_offsets = reopened(no_offsets_);
  if (!no_offsets) return std::unexpected(std::move(no_offsets.error()));
  return MatchStateFiles(*std::move(zeroes), *std::move(no_offsets), UniqueFd());
}

Result<void> MatchStateFiles::MoveTo(int first) {
  for (UniqueFd* file : {&zeroes_, &no_offsets_}) {
    if (::dup2(file->Get(), first) < 0) return std::unexpected(SystemError("dup2", errno));
    file->Reset(first++);
  }
  return {};
}

void MatchStateFiles::Use() const {
  zeroes_in_use = zeroes_.Get();
  no_offsets_in_use = no_offsets_.Get();
}

extern "C" {

int LazaretMakeMatchState(MatchState* state, std::uint32_t partial, std::uint32_t signatures, std::uint32_t relative,
                          std::uint8_t tracked) LAZARET_INTERPOSE("cli_ac_initdata");
int LazaretMakeMatchState(MatchState* state, std::uint32_t partial, std::uint32_t signatures, std::uint32_t relative,
                          std::uint8_t tracked) {
  if (state != nullptr && ShouldBeMapped(signatures)) {
    if (const int failed = real_make(state, partial, 0, relative, tracked); failed != 0) return failed;
    if (MakeMapped(*state, signatures)) return 0;
    real_free(state);
    // Memory is short, and callers overlook the code that says so: libclamav fails with an error message, which makes
    // the content unscannable.
  }
  return real_make(state, partial, signatures, relative, tracked);
}

void LazaretFreeMatchState(MatchState* state) LAZARET_INTERPOSE("cli_ac_freedata");
void LazaretFreeMatchState(MatchState* state) {
  if (state != nullptr && IsMapped(*state)) {
    for (auto** rows : {state->matches, state->last_offsets, state->first_offsets}) {
      UnmapRows(rows, state->signatures);
    }
  }
  real_free(state);
}

}  // extern "C"

}  // namespace lazaret::scanner
