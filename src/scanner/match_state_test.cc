#include "scanner/match_state.h"

#include <clamav.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

// libclamav's own, with ours in front of it.
extern "C" int cli_ac_initdata(void* state, std::uint32_t partial, std::uint32_t signatures, std::uint32_t relative,
                               std::uint8_t tracked);
extern "C" void cli_ac_freedata(void* state);

// AddressSanitizer ends the process otherwise when there is no memory (its manual, "Run-time flags").
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace lazaret::scanner {
namespace {

using testing::Each;

// A match state of libclamav, seen through the addresses that match_state.cc knows.
class State {
 public:
  explicit State(std::uint32_t signatures) { result_ = ::cli_ac_initdata(memory_.data(), 3, signatures, 7, 0); }
  ~State() { Free(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void Free() {
    if (result_ == 0) ::cli_ac_freedata(memory_.data());
    result_ = -1;
  }
  int result() const { return result_; }
  std::uint32_t signatures() const { return Read<std::uint32_t>(0x0c); }
  std::span<std::uint32_t, 64> Row(std::size_t array, std::uint32_t number) const {
    return std::span<std::uint32_t, 64>(Read<std::uint32_t**>(0x18 + 8 * array)[number], 64);
  }

 private:
  template <class T>
  T Read(std::size_t at) const {
    T value;
    std::memcpy(&value, memory_.data() + at, sizeof value);
    return value;
  }
  alignas(16) std::array<std::byte, 0xd8> memory_{};
  int result_;
};

constexpr std::array<std::uint32_t, 3> kPristine = {0, 0xfffffffe, 0xfffffffe};

void ExpectPristine(const State& state, std::uint32_t signatures) {
  ASSERT_EQ(state.result(), 0);
  EXPECT_EQ(state.signatures(), signatures);
  for (std::size_t array = 0; array < kPristine.size(); ++array) {
    for (std::uint32_t i = 0; i < signatures; i += (i < 9000 ? 1 : 977)) {
      ASSERT_THAT(state.Row(array, i), Each(kPristine[array])) << array << " " << i;
    }
    ASSERT_THAT(state.Row(array, signatures - 1), Each(kPristine[array]));
  }
}

class MatchStates : public testing::Test {
 protected:
  // The functions in front of libclamav's have no end: the files stay for as long as the process.
  static void SetUpTestSuite() {
    auto made = MatchStateFiles::Make();
    if (!made) throw std::runtime_error(made.error().what);
    files_.emplace(*std::move(made));
    files_->Use();
  }
  static std::optional<MatchStateFiles> files_;
};
std::optional<MatchStateFiles> MatchStates::files_;

TEST_F(MatchStates, BeginAsLibclamavMakesThem) {
  for (const std::uint32_t signatures :
       {1u, kLeastMappedSignatures - 1, kLeastMappedSignatures, 8191u, 8192u, 8193u, 250'000u}) {
    ExpectPristine(State(signatures), signatures);
  }
}

TEST_F(MatchStates, KeepWhatIsWrittenToThemselves) {
  constexpr std::uint32_t kSignatures = 30'000;
  State one(kSignatures), other(kSignatures);
  ASSERT_EQ(one.result(), 0);
  for (std::size_t array = 0; array < kPristine.size(); ++array) {
    for (std::uint32_t i = 0; i < kSignatures; i += 7) one.Row(array, i)[i % 64] = i + 1;
  }
  ExpectPristine(other, kSignatures);
  for (std::size_t array = 0; array < kPristine.size(); ++array) {
    for (std::uint32_t i = 0; i < kSignatures; i += 7) EXPECT_EQ(one.Row(array, i)[i % 64], i + 1);
  }
  one.Free();
  ExpectPristine(State(kSignatures), kSignatures);
}

// Mappings of the files.
std::size_t Mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) count += line.find("/memfd:") != line.npos ? 1 : 0;
  return count;
}

TEST_F(MatchStates, AreGivenBack) {
  ASSERT_EQ(Mappings(), 0u);
  for (int i = 0; i < 20; ++i) {
    State state(250'000);
    state.Row(0, 1)[0] = 1;
    EXPECT_EQ(Mappings(), 3u * (250'000 * 256 / (2 << 20) + 1));
  }
  EXPECT_EQ(Mappings(), 0u);
}

bool complained = false;
void OnMessage(cl_msg severity, const char*, const char*, void*) {
  complained = complained || severity == CL_MSG_ERROR;
}

// For a process of its own, with so much address space left.
void EndWithResultOfTightSpace(std::size_t room) {
  std::size_t pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu", &pages) != 1) ::_exit(101);
    std::fclose(file);
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = pages * 4096 + room;
  ::setrlimit(RLIMIT_AS, &limit);
  ::cl_set_clcb_msg(&OnMessage);
  const int result = State(250'000).result();
  ::_exit(complained ? result : 102);
}

// Callers overlook the result; the message makes the content unscannable.
TEST_F(MatchStates, WithoutAddressSpaceAreAnErrorOfLibclamavs) {
  constexpr std::size_t kMiB = 1 << 20;
  for (const std::size_t room : {kMiB, 40 * kMiB, 100 * kMiB, 150 * kMiB}) {
    EXPECT_EXIT(EndWithResultOfTightSpace(room), testing::ExitedWithCode(CL_EMEM), "") << room;
  }
}

TEST_F(MatchStates, NobodyCanWriteIntoTheFiles) {
  for (const int file : {files_->zeroes(), files_->no_offsets()}) {
    EXPECT_EQ(::pwrite(file, "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(file, 0), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
    EXPECT_EQ(::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), -1) << "the seals are sealed";
  }
}

TEST_F(MatchStates, ScannersShareNothingButBytes) {
  auto one = files_->ForScanner();
  auto other = files_->ForScanner();
  ASSERT_TRUE(one && other);
  for (const auto& [first, second] :
       {std::pair(one->zeroes(), other->zeroes()), std::pair(one->no_offsets(), other->no_offsets())}) {
    ASSERT_EQ(::lseek(first, 4096, SEEK_SET), 4096);
    ASSERT_EQ(::fcntl(first, F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(::lseek(second, 0, SEEK_CUR), 0);
    EXPECT_EQ(::fcntl(second, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(::fcntl(second, F_GETFL) & O_ACCMODE, O_RDONLY);
  }
}

TEST_F(MatchStates, FilesMoveToTheDescriptorsThatAreAskedFor) {
  auto files = MatchStateFiles::Make();
  ASSERT_TRUE(files);
  const int first = ::fcntl(files->zeroes(), F_DUPFD, 200);
  ASSERT_GE(first, 200);
  ASSERT_TRUE(files->MoveTo(first));
  EXPECT_EQ(files->zeroes(), first);
  EXPECT_EQ(files->no_offsets(), first + 1);
  std::uint32_t value = 1;
  EXPECT_EQ(::pread(first, &value, sizeof value, 0), 4);
  EXPECT_EQ(value, 0u);
  EXPECT_EQ(::pread(first + 1, &value, sizeof value, 0), 4);
  EXPECT_EQ(value, 0xfffffffe);
}

}  // namespace
}  // namespace lazaret::scanner
