#include "clamav/signature_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "aio/deadline.h"

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

constexpr std::uint32_t kInDirectory = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                                       IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kInParent = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

aio::Task<Result<bool>> Readable(asio::posix::stream_descriptor& descriptor) {
  const auto [failed] =
      co_await descriptor.async_wait(asio::posix::descriptor_base::wait_read, asio::as_tuple(asio::use_awaitable));
  co_return !failed;
}

}  // namespace

SignatureWatch::SignatureWatch(std::filesystem::path directory, const aio::Executor& executor, Log& log)
    : directory_(directory.has_filename() ? directory : directory.parent_path()), log_(log) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    log_.Warning("signature directory is only looked at now and then",
                 {{"error", SystemError("inotify_init1 (fs.inotify.max_user_instances)", errno).what}});
    return;
  }
  inotify_ = std::make_unique<asio::posix::stream_descriptor>(executor, fd);
  Arm();
}

SignatureWatch::~SignatureWatch() = default;

bool SignatureWatch::Arm() {
  const int fd = inotify_->native_handle();
  const auto watch = [&](const std::filesystem::path& path, std::uint32_t mask, int& now) {
    const int before = now;
    now = ::inotify_add_watch(fd, path.c_str(), mask | IN_ONLYDIR);
    if (now < 0 && errno == ENOSPC) {
      log_.Warning("signature directory is only looked at now and then",
                   {{"error", "no inotify watch left (fs.inotify.max_user_watches)"}});
    }
    if (before >= 0 && before != now) ::inotify_rm_watch(fd, before);
    return before != now;
  };
  watch(directory_.parent_path(), kInParent, parent_watch_);
  return watch(directory_, kInDirectory, directory_watch_);
}

bool SignatureWatch::Drain() {
  bool changed = false;
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t length = ::read(inotify_->native_handle(), buffer.data(), buffer.size());
    if (length <= 0) break;
    for (ssize_t at = 0; at < length;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string_view name(buffer.data() + at + sizeof event);  // padded with zero bytes
      at += static_cast<ssize_t>(sizeof event + event.len);
      const bool is_overflow = (event.mask & IN_Q_OVERFLOW) != 0;
      const bool is_ours = event.wd == directory_watch_ && (event.mask & IN_IGNORED) == 0;
      const bool is_directory = event.wd == parent_watch_ && event.len > 0 && name == directory_.filename().native();
      changed |= is_overflow || is_ours || is_directory;
    }
  }
  // The directory of that name may be another one now.
  return Arm() || changed;
}

aio::Task<> SignatureWatch::WaitForChange() {
  if (inotify_ == nullptr) co_return co_await aio::SleepUntil(SteadyTime::max());
  if (Arm()) co_return;
  for (;;) {
    if (!*co_await Readable(*inotify_)) co_return;
    if (Drain()) co_return;
  }
}

aio::Task<> SignatureWatch::WaitUntilSettled(milliseconds settle, SteadyTime deadline) {
  for (;;) {
    const SteadyTime quiet_at = std::chrono::steady_clock::now() + settle;
    const SteadyTime until = std::min(quiet_at, deadline);
    if (inotify_ == nullptr) co_return co_await aio::SleepUntil(until);
    const auto readable = co_await aio::WithDeadline(Readable(*inotify_), until, "");
    if (!readable || !*readable) co_return;  // quiet, late or cancelled
    Drain();
  }
}

}  // namespace lazaret::clamav
