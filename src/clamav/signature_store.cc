#include "clamav/signature_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/memory_file.h"
#include "base/unique_fd.h"
#include "clamav/signature_files.h"

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStateName = "state";
constexpr std::string_view kVersion = "lazaret signatures 1";
constexpr std::string_view kBuiltIn = "built-in";

// One record is one line of fields behind tabs.
std::string Field(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return c == '\t' || c == '\n'; }, ' ');
  return out;
}

std::vector<std::string> Fields(std::string_view line) {
  std::vector<std::string> fields;
  for (bool more = true; more;) {
    const std::size_t tab = line.find('\t');
    more = tab != line.npos;
    fields.emplace_back(line.substr(0, tab));
    if (more) line.remove_prefix(tab + 1);
  }
  return fields;
}

template <class T>
std::optional<T> ToNumber(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t Milliseconds(WallTime time) { return time.time_since_epoch().count(); }
std::optional<WallTime> ToTime(std::string_view text) {
  const auto value = ToNumber<std::int64_t>(text);
  if (!value) return std::nullopt;
  return WallTime(milliseconds(*value));
}

std::string Line(std::string_view name, const KeptSet& set) {
  const SetSummary& about = set.summary;
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", name, set.snapshot.digest.Hex(), set.snapshot.files,
                     set.snapshot.bytes, about.signatures, Milliseconds(about.loaded_at),
                     about.built_at ? std::to_string(Milliseconds(*about.built_at)) : "-", Field(about.label));
}

Result<void> WriteDurably(const fs::path& path, const std::string& text) {
  const fs::path incoming = path.native() + ".new";
  const auto fail = [&] {
    const int error = errno;
    (void)::unlink(incoming.c_str());
    return std::unexpected(SystemError("writing " + path.native(), error));
  };
  const UniqueFd file(::open(incoming.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail();
  if (auto written = WriteAll(file.Get(), AsBytes(text), "writing " + path.native()); !written) {
    (void)::unlink(incoming.c_str());
    return written;
  }
  if (::fsync(file.Get()) != 0 || ::rename(incoming.c_str(), path.c_str()) != 0) return fail();
  const UniqueFd directory(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) (void)::fsync(directory.Get());
  return {};
}

}  // namespace

Result<SignatureStore> SignatureStore::Open(fs::path directory, fs::path source) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return std::unexpected(SystemError("creating " + directory.native(), failed.value()));
  SignatureStore store(std::move(directory), std::move(source));
  store.Read();
  store.RemoveOthers();
  return store;
}

void SignatureStore::Read() {
  std::ifstream file(directory_ / kStateName);
  std::string line;
  if (!std::getline(file, line) || line != kVersion) return;
  State read;
  bool from_here = false;
  while (std::getline(file, line)) {
    const auto fields = Fields(line);
    if (fields[0] == "source" && fields.size() == 2) {
      from_here = fields[1] == (source_.empty() ? std::string(kBuiltIn) : Field(source_.native()));
    } else if (fields[0] == "current") {
      read.current = ReadSet(line);
    } else if (fields[0] == "previous") {
      read.previous = ReadSet(line);
    } else if (fields[0] == "refused" && fields.size() == 5) {
      const auto digest = Digest::FromHex(fields[1]);
      const auto since = ToTime(fields[2]);
      if (digest && since) read.pin = SignaturePin{*digest, fields[3], fields[4], *since};
    }
  }
  if (from_here) state_ = std::move(read);
  if (!state_.current) state_.pin.reset();
}

std::optional<KeptSet> SignatureStore::ReadSet(std::string_view line) const {
  const auto fields = Fields(line);
  if (fields.size() != 8) return std::nullopt;
  const auto digest = Digest::FromHex(fields[1]);
  const auto files = ToNumber<std::size_t>(fields[2]);
  const auto bytes = ToNumber<std::uint64_t>(fields[3]);
  const auto signatures = ToNumber<std::uint64_t>(fields[4]);
  const auto loaded_at = ToTime(fields[5]);
  if (!digest || !files || !bytes || !signatures || !loaded_at) return std::nullopt;
  const fs::path directory = directory_ / digest->Hex();
  std::error_code failed;
  if (!fs::is_directory(directory, failed)) return std::nullopt;
  const auto marks = MarkFiles(directory);
  return KeptSet{{directory, *digest, *files, *bytes, source_.empty()},
                 {.digest = *digest,
                  .label = fields[7],
                  .signatures = *signatures,
                  .built_at = ToTime(fields[6]),
                  .loaded_at = *loaded_at,
                  .files_at = marks ? NewestTime(*marks) : std::nullopt}};
}

Result<void> SignatureStore::Write() const {
  std::string text =
      fmt::format("{}\nsource\t{}\n", kVersion, source_.empty() ? std::string(kBuiltIn) : Field(source_.native()));
  if (state_.current) text += Line("current", *state_.current);
  if (state_.previous) text += Line("previous", *state_.previous);
  if (const auto& pin = state_.pin) {
    text += fmt::format("refused\t{}\t{}\t{}\t{}\n", pin->refused.Hex(), Milliseconds(pin->since), Field(pin->label),
                        Field(pin->reason));
  }
  return WriteDurably(directory_ / kStateName, text);
}

bool SignatureStore::IsKept(const fs::path& name) const {
  const auto is = [&](const std::optional<KeptSet>& set) { return set && set->snapshot.digest.Hex() == name; };
  return name == kStateName || is(state_.current) || is(state_.previous);
}

void SignatureStore::RemoveOthers() const {
  std::error_code failed;
  std::vector<fs::path> others;
  for (fs::directory_iterator entry(directory_, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (!IsKept(entry->path().filename())) others.push_back(entry->path());
  }
  for (const fs::path& path : others) fs::remove_all(path, failed);
}

Result<SignatureSnapshot> SignatureStore::Take(SnapshotBy by) const {
  return source_.empty() ? MakeTestSnapshot(directory_) : TakeSnapshot(source_, directory_, by);
}

Result<Digest> SignatureStore::DigestOfSource() const {
  const auto set = DigestFiles(source_);
  if (!set) return std::unexpected(set.error());
  return set->digest;
}

Result<void> SignatureStore::Use(KeptSet set) {
  const bool is_another = !state_.current || state_.current->snapshot.digest != set.snapshot.digest;
  if (is_another) {
    if (state_.current) state_.previous = std::move(state_.current);
    state_.pin.reset();
  }
  state_.current = std::move(set);
  const auto written = Write();
  RemoveOthers();
  return written;
}

Result<void> SignatureStore::GoBack(SignaturePin pin, SetSummary summary) {
  state_.current = std::move(state_.previous);
  state_.current->summary = std::move(summary);
  state_.previous.reset();
  state_.pin = std::move(pin);
  const auto written = Write();
  RemoveOthers();
  return written;
}

Result<void> SignatureStore::LiftPin() {
  if (!state_.pin) return {};
  state_.pin.reset();
  return Write();
}

void SignatureStore::Drop(const SignatureSnapshot& snapshot) const {
  std::error_code ignored;
  if (!IsKept(snapshot.directory.filename())) fs::remove_all(snapshot.directory, ignored);
}

}  // namespace lazaret::clamav
