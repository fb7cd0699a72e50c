#include "scanner/zip_check.h"

#include <algorithm>
#include <array>
#include <expected>
#include <string>
#include <utility>

#include "scanner/little_endian.h"

namespace lazaret::scanner {
namespace {

using namespace std::string_view_literals;
using wire::OutcomeReason;

constexpr auto kLocalMark = "PK\x03\x04"sv, kCentralMark = "PK\x01\x02"sv, kEndMark = "PK\x05\x06"sv,
               kEnd64Mark = "PK\x06\x06"sv, kLocator64Mark = "PK\x06\x07"sv;
constexpr std::size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kLocator64Size = 20, kEnd64Size = 56;
constexpr std::uint32_t kMoved16 = 0xFFFF, kMoved32 = 0xFFFFFFFF;  // to a ZIP64 record
constexpr unsigned kEncryptedFlag = 1u << 0, kDescriptorFlag = 1u << 3, kMaskedFlag = 1u << 13;
// libclamav never looks at files of this size.
constexpr std::uint32_t kTooSmall = 5;
// More than any packer makes of kTooSmall bytes.
constexpr std::uint32_t kTooSmallPacked = 64;

// Stored, imploded, deflated, deflate64, bzip2: what libclamav 1.4 unpacks.
constexpr std::array kKnownMethods = {0u, 6u, 8u, 9u, 12u};

struct Central {
  unsigned flags, method;
  std::uint32_t crc, packed, size;
  std::uint32_t offset;  // of the local header, before it is moved to where the archive starts
  friend auto operator<=>(const Central&, const Central&) = default;
};

// The bounds of the central directory, and where the archive's offsets count from.
struct Place {
  std::uint64_t begin, end, origin;
  unsigned entries;
};

enum class Fault { kNoDirectory, kDamaged, kSplit, kZip64, kTooMany };

bool HasMark(std::string_view content, std::uint64_t at, std::string_view mark) {
  return at <= content.size() && content.substr(at).starts_with(mark);
}

Incomplete Describe(Fault fault) {
  switch (fault) {
    case Fault::kNoDirectory:
      return {OutcomeReason::kUnsupported, "ZIP archive without its directory (cut off or damaged)"};
    case Fault::kSplit: return {OutcomeReason::kUnsupported, "ZIP archive in several parts"};
    case Fault::kZip64: return {OutcomeReason::kUnsupported, "ZIP64 archive"};
    case Fault::kTooMany: return {OutcomeReason::kLimitExceeded, "ZIP archive with too many members"};
    case Fault::kDamaged: break;
  }
  return {OutcomeReason::kUnsupported, "ZIP archive with a damaged directory"};
}

class Reader {
 public:
  explicit Reader(std::string_view content) : content_(content) {}

  // `search` is how far before the end of the content the end record may start.
  std::optional<Fault> Read(std::size_t search) {
    const auto end = FindEnd(search);
    if (!end) return Fault::kNoDirectory;
    const auto place = Locate(*end);
    if (!place) return place.error();
    place_ = *place;
    if (const auto fault = ReadCentral()) return fault;
    std::ranges::sort(entries_, {}, [](const Central& one) { return std::pair(one.offset, one); });
    // libclamav, too, opens a member once that is listed twice.
    entries_.erase(std::ranges::unique(entries_).begin(), entries_.end());
    return std::nullopt;
  }

  ZipListing List() && {
    if (HasMark(content_, 0, kLocalMark) && (entries_.empty() || Local(entries_[0]) != 0)) NoteUnlisted();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::uint64_t next = i + 1 < entries_.size() ? Local(entries_[i + 1]) : place_.begin;
      CheckMember(entries_[i], next);
    }
    return std::move(listing_);
  }

 private:
  std::uint64_t Local(const Central& entry) const { return place_.origin + entry.offset; }

  std::optional<std::size_t> FindEnd(std::size_t search) const {
    for (auto at = content_.rfind(kEndMark); at != content_.npos; at = content_.rfind(kEndMark, at - 1)) {
      if (content_.size() - at > search) return std::nullopt;
      const std::size_t room = content_.size() - at;
      if (room >= kEndSize && Little16(content_, at + 20) <= room - kEndSize) return at;
      if (at == 0) return std::nullopt;
    }
    return std::nullopt;
  }

  std::expected<Place, Fault> Locate(std::size_t end) const {
    const unsigned disk = Little16(content_, end + 4), first_disk = Little16(content_, end + 6);
    const unsigned here = Little16(content_, end + 8), entries = Little16(content_, end + 10);
    const std::uint32_t size = Little32(content_, end + 12), offset = Little32(content_, end + 16);
    std::uint64_t directory_end = end;
    if (end >= kLocator64Size && HasMark(content_, end - kLocator64Size, kLocator64Mark)) {
      if (end < kLocator64Size + kEnd64Size) return std::unexpected(Fault::kZip64);
      directory_end = end - kLocator64Size - kEnd64Size;
      if (!HasMark(content_, directory_end, kEnd64Mark)) return std::unexpected(Fault::kZip64);
    }
    if (size == kMoved32 || offset == kMoved32 || disk == kMoved16) return std::unexpected(Fault::kZip64);
    if (disk != 0 || first_disk != 0 || here != entries) return std::unexpected(Fault::kSplit);
    if (size > directory_end || offset > directory_end - size) return std::unexpected(Fault::kDamaged);
    return Place{.begin = directory_end - size,
                 .end = directory_end,
                 .origin = directory_end - size - offset,
                 .entries = entries};
  }

  std::optional<Fault> ReadCentral() {
    std::uint64_t at = place_.begin;
    while (at < place_.end) {
      if (place_.end - at < kCentralSize || !HasMark(content_, at, kCentralMark)) return Fault::kDamaged;
      if (entries_.size() >= kMaxZipMembers) return Fault::kTooMany;
      const std::uint64_t length = kCentralSize + std::uint64_t{Little16(content_, at + 28)} +
                                   Little16(content_, at + 30) + Little16(content_, at + 32);
      if (length > place_.end - at) return Fault::kDamaged;
      const Central entry{.flags = Little16(content_, at + 8),
                          .method = Little16(content_, at + 10),
                          .crc = Little32(content_, at + 16),
                          .packed = Little32(content_, at + 20),
                          .size = Little32(content_, at + 24),
                          .offset = Little32(content_, at + 42)};
      if (entry.packed == kMoved32 || entry.size == kMoved32 || entry.offset == kMoved32) return Fault::kZip64;
      if (Little16(content_, at + 34) != 0) return Fault::kSplit;
      entries_.push_back(entry);
      at += length;
    }
    // The number of members is kept modulo 65536, or moved to the ZIP64 record.
    const bool counted = place_.entries == (entries_.size() & 0xFFFF) || place_.entries == kMoved16;
    return counted ? std::nullopt : std::optional(Fault::kDamaged);
  }

  void CheckMember(const Central& entry, std::uint64_t next) {
    const std::uint64_t local = Local(entry);
    if (local > place_.begin || place_.begin - local < kLocalSize || !HasMark(content_, local, kLocalMark)) {
      return Note(Describe(Fault::kDamaged));
    }
    const std::uint64_t data = local + kLocalSize + Little16(content_, local + 26) + Little16(content_, local + 28);
    if (data > place_.begin || entry.packed > place_.begin - data) return Note(Describe(Fault::kDamaged));
    LookForUnlisted(data + entry.packed, next);

    const unsigned flags = entry.flags | Little16(content_, local + 6);
    if ((flags & (kEncryptedFlag | kMaskedFlag)) != 0) {
      return Note({OutcomeReason::kEncrypted, "encrypted ZIP member"});
    }
    if (SizesDiffer(entry, local)) {
      return Note({OutcomeReason::kUnsupported, "ZIP member whose two headers contradict each other"});
    }
    if (entry.size == 0 && entry.packed == 0) return;
    if (std::ranges::find(kKnownMethods, entry.method) == kKnownMethods.end()) {
      return Note({OutcomeReason::kUnsupported, "ZIP member packed with method " + std::to_string(entry.method)});
    }
    if (entry.size > kTooSmall) return listing_.members.push_back({entry.size, entry.crc});
    if (entry.packed > kTooSmallPacked) Note({OutcomeReason::kUnsupported, "ZIP member that lies about its size"});
  }

  // Programs that read from the front believe the local header.
  bool SizesDiffer(const Central& entry, std::uint64_t local) const {
    if (Little16(content_, local + 8) != entry.method) return true;
    const auto differs = [](std::uint32_t said, std::uint32_t listed) { return said != listed && said != kMoved32; };
    if ((Little16(content_, local + 6) & kDescriptorFlag) != 0) return false;
    return differs(Little32(content_, local + 18), entry.packed) || differs(Little32(content_, local + 22), entry.size);
  }

  // A member right behind another one, with or without a data descriptor between them, that is not in the directory:
  // programs that read from the front find it, libclamav does not.
  void LookForUnlisted(std::uint64_t data_end, std::uint64_t next) {
    for (const unsigned descriptor : {0u, 12u, 16u, 20u, 24u}) {
      const std::uint64_t at = data_end + descriptor;
      if (at < next && next - at >= kLocalSize && HasMark(content_, at, kLocalMark)) NoteUnlisted();
    }
  }

  void NoteUnlisted() { Note({OutcomeReason::kUnsupported, "ZIP member that the directory does not list"}); }

  void Note(Incomplete fault) {
    const auto same = [&](const Incomplete& one) { return one.reason == fault.reason; };
    if (std::ranges::none_of(listing_.faults, same)) listing_.faults.push_back(std::move(fault));
  }

  std::string_view content_;
  Place place_{};
  std::vector<Central> entries_;
  ZipListing listing_;
};

}  // namespace

ZipListing ReadZip(std::string_view content) {
  Reader reader(content);
  if (const auto fault = reader.Read(content.size())) return {.members = {}, .faults = {Describe(*fault)}};
  return std::move(reader).List();
}

std::optional<ZipListing> ReadAppendedZip(std::string_view content) {
  constexpr std::size_t kLongestComment = 0xFFFF;
  Reader reader(content);
  if (reader.Read(kEndSize + kLongestComment)) return std::nullopt;
  ZipListing listing = std::move(reader).List();
  if (listing.members.empty() && listing.faults.empty()) return std::nullopt;
  return listing;
}

}  // namespace lazaret::scanner
