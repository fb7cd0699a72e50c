#include "integration/hanging_files.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace lazaret::tests {
namespace {

constexpr std::uint64_t kFile = 2;
constexpr std::uint64_t kDirectory = 3;
constexpr std::uint64_t kForASecond = 1;

fuse_attr AttributesOf(std::uint64_t node) {
  fuse_attr attributes{};
  attributes.ino = node;
  attributes.mode = node == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
  attributes.size = node == kFile ? HangingFiles::kSize : 0;
  attributes.nlink = 1;
  return attributes;
}

std::optional<HangingFiles::Question> QuestionOf(std::uint32_t opcode) {
  using Question = HangingFiles::Question;
  switch (opcode) {
    case FUSE_LOOKUP: return Question::kLookup;
    case FUSE_OPEN: return Question::kOpen;
    case FUSE_READ: return Question::kRead;
    case FUSE_READDIR: return Question::kReadDirectory;
    case FUSE_FLUSH: return Question::kFlush;
    default: return std::nullopt;
  }
}

}  // namespace

struct HangingFiles::Request {
  fuse_in_header head;
  std::string_view body;
};

HangingFiles::HangingFiles(std::filesystem::path path, std::set<Question> unanswered)
    : path_(std::move(path)), unanswered_(std::move(unanswered)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  std::filesystem::create_directories(path_);
  device_.Reset(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  const std::string options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", device_.Get());
  is_mounted_ = ::mount("hanging", path_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
  if (is_mounted_) thread_ = std::jthread([this] { Serve(); });
}

HangingFiles::~HangingFiles() {
  if (!is_mounted_) return;
  (void)::eventfd_write(stop_.Get(), 1);
  thread_.join();
  device_.Reset();  // whoever still waits gets an error
  ::umount2(path_.c_str(), MNT_DETACH);
}

void HangingFiles::Serve() {
  std::vector<char> buffer(1024 * 1024);
  for (;;) {
    std::array<pollfd, 2> ready = {pollfd{device_.Get(), POLLIN, 0}, pollfd{stop_.Get(), POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), -1) < 0 || ready[1].revents != 0) return;
    const ssize_t n = ::read(device_.Get(), buffer.data(), buffer.size());
    if (n < 0 && (errno == EINTR || errno == ENOENT)) continue;
    if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
    Request request{};
    std::memcpy(&request.head, buffer.data(), sizeof request.head);
    request.body = std::string_view(buffer.data(), static_cast<std::size_t>(n)).substr(sizeof request.head);
    const auto question = QuestionOf(request.head.opcode);
    const bool is_our_own = request.head.pid == static_cast<std::uint32_t>(::getpid());
    if (question && unanswered_.contains(*question) && !is_our_own) {
      ++hanging_;
    } else {
      Answer(request);
    }
  }
}

void HangingFiles::Reply(const Request& request, int error, const void* data, std::size_t size) {
  fuse_out_header head{};
  head.len = static_cast<std::uint32_t>(sizeof head + size);
  head.error = -error;
  head.unique = request.head.unique;
  const std::array<iovec, 2> parts = {iovec{&head, sizeof head}, iovec{const_cast<void*>(data), size}};
  (void)::writev(device_.Get(), parts.data(), parts.size());
}

void HangingFiles::Answer(const Request& request) {
  switch (request.head.opcode) {
    case FUSE_INIT: {
      fuse_init_out answer{};
      answer.major = FUSE_KERNEL_VERSION;
      answer.minor = 31;
      answer.flags = FUSE_ASYNC_READ;  // whoever waits for a read can be killed
      answer.max_background = 1000;
      answer.max_write = 4096;
      return Reply(request, 0, &answer, sizeof answer);
    }
    case FUSE_LOOKUP: {
      fuse_entry_out answer{};
      answer.nodeid = std::string_view(request.body.data()) == "directory" ? kDirectory : kFile;
      answer.attr_valid = answer.entry_valid = kForASecond;
      answer.attr = AttributesOf(answer.nodeid);
      return Reply(request, 0, &answer, sizeof answer);
    }
    case FUSE_GETATTR: {
      fuse_attr_out answer{};
      answer.attr_valid = kForASecond;
      answer.attr = AttributesOf(request.head.nodeid);
      return Reply(request, 0, &answer, sizeof answer);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
      fuse_open_out answer{};
      answer.open_flags = FOPEN_KEEP_CACHE;  // otherwise opening waits for a read that hangs
      // A test that dies with such a file open would wait in close(2) for its own answer, unkillably.
      if (!unanswered_.contains(Question::kFlush)) answer.open_flags |= FOPEN_NOFLUSH;
      return Reply(request, 0, &answer, sizeof answer);
    }
    case FUSE_READ: {
      fuse_read_in question{};
      std::memcpy(&question, request.body.data(), sizeof question);
      const std::string zeros(question.offset < kSize ? kSize - question.offset : 0, '\0');
      return Reply(request, 0, zeros.data(), std::min<std::size_t>(zeros.size(), question.size));
    }
    case FUSE_READDIR: {
      fuse_read_in question{};
      std::memcpy(&question, request.body.data(), sizeof question);
      if (question.offset > 0) return Reply(request, 0, nullptr, 0);
      fuse_dirent entry{};
      entry.ino = kFile;
      entry.off = 1;
      entry.namelen = 4;
      entry.type = S_IFREG >> 12;
      std::array<char, FUSE_NAME_OFFSET + 8> answer{};
      std::memcpy(answer.data(), &entry, FUSE_NAME_OFFSET);
      std::memcpy(answer.data() + FUSE_NAME_OFFSET, "file", entry.namelen);
      return Reply(request, 0, answer.data(), answer.size());
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return Reply(request, 0, nullptr, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;  // want no answer
    default: return Reply(request, ENOSYS, nullptr, 0);
  }
}

}  // namespace lazaret::tests
