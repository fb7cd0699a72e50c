#include "integration/server_process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "integration/http_client.h"

namespace lazaret::tests {
namespace {

// Only what may be called between fork and exec of a process with threads.
[[noreturn]] void Exec(const std::vector<char*>& argv, int error_fd, const std::optional<uid_t>& user) {
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(error_fd, STDERR_FILENO);
  if (user && (::setgroups(0, nullptr) != 0 || ::setresgid(*user, *user, *user) != 0 ||
               ::setresuid(*user, *user, *user) != 0)) {
    ::_exit(126);
  }
  // Becoming another user resets it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

std::uint16_t PortOf(const std::string& line) {
  const std::size_t at = line.find("127.0.0.1:");
  std::uint16_t port = 0;
  if (at != line.npos) std::from_chars(line.data() + at + 10, line.data() + line.size(), port);
  return port;
}

}  // namespace

ServerProcess::ServerProcess(const ServerOptions& options) {
  std::vector<std::string> arguments = {options.program, "serve",           "--listen",     "127.0.0.1:0",
                                        "--data",        options.data,      "--signatures", options.signatures,
                                        "--log-format",  options.log_format};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) Exec(argv, write_end.Get(), options.user);
  write_end.Reset();
  reader_ = std::jthread([this, from = std::move(read_end)]() mutable { ReadLog(std::move(from)); });
  if (const auto line = WaitForLog("listening")) port_ = PortOf(*line);
}

ServerProcess::~ServerProcess() {
  Kill();
  reader_.join();
}

// The pipe ends when the server and everything that it started have gone.
void ServerProcess::ReadLog(UniqueFd from) {
  std::string rest;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(from.Get(), buffer, sizeof buffer);
    if (n <= 0) break;
    rest.append(buffer, static_cast<std::size_t>(n));
    std::lock_guard lock(mutex_);
    for (std::size_t end; (end = rest.find('\n')) != rest.npos; rest.erase(0, end + 1)) {
      lines_.push_back(rest.substr(0, end));
    }
    grown_.notify_all();
  }
  std::lock_guard lock(mutex_);
  if (!rest.empty()) lines_.push_back(rest);
  closed_ = true;
  grown_.notify_all();
}

std::vector<std::string> ServerProcess::LogLines() const {
  std::lock_guard lock(mutex_);
  return lines_;
}

std::string ServerProcess::Log() const {
  std::string all;
  for (const std::string& line : LogLines()) all += line + "\n";
  return all;
}

std::optional<std::string> ServerProcess::WaitForLog(std::string_view text) const {
  std::unique_lock lock(mutex_);
  std::optional<std::string> found;
  std::size_t seen = 0;
  grown_.wait_for(lock, kPatience, [&] {
    for (; seen < lines_.size() && !found; ++seen) {
      if (lines_[seen].find(text) != std::string::npos) found = lines_[seen];
    }
    return found.has_value() || closed_;
  });
  return found;
}

std::optional<pid_t> ServerProcess::ZygotePid() const {
  const auto children = ChildrenOf(pid_);
  if (children.empty()) return std::nullopt;
  return children.front();
}

std::vector<pid_t> ServerProcess::ScannerPids() const {
  const auto zygote = ZygotePid();
  return zygote ? ChildrenOf(*zygote) : std::vector<pid_t>();
}

bool ServerProcess::HaltScanners() const {
  const auto scanners = ScannerPids();
  return !scanners.empty() && std::ranges::all_of(scanners, Halt);
}

void ServerProcess::LetScannersGoOn() const {
  for (const pid_t pid : ScannerPids()) ::kill(pid, SIGCONT);
}

bool ServerProcess::WaitUntilReady() const {
  return port_ != 0 && Eventually([&] {
           const auto answer = Get(port_, "/readyz");
           return answer && answer->status == 200;
         });
}

void ServerProcess::Signal(int number) const {
  if (!status_) ::kill(pid_, number);
}

std::optional<int> ServerProcess::WaitForEnd() {
  if (status_) return status_;
  if (!ProcessHandle(pid_).WaitForEnd()) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_) return std::nullopt;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return status_;
}

std::optional<int> ServerProcess::Terminate() {
  Signal(SIGTERM);
  return WaitForEnd();
}

void ServerProcess::Kill() {
  Signal(SIGKILL);
  WaitForEnd();
}

}  // namespace lazaret::tests
