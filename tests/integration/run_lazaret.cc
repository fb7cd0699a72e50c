#include "integration/run_lazaret.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "base/unique_fd.h"

namespace lazaret::tests {

Outcome RunLazaret(std::vector<std::string> arguments, const std::string& program, std::optional<uid_t> user) {
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string home = "HOME=/nonexistent";
  std::array<char*, 2> environment = {home.data(), nullptr};
  int ends[4];
  if (::pipe2(ends, O_CLOEXEC) != 0 || ::pipe2(ends + 2, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const UniqueFd out(ends[0]);
  const UniqueFd err(ends[2]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[3], STDERR_FILENO);
    if (user && ::setresuid(*user, *user, *user) != 0) ::_exit(126);
    ::execve(argv[0], argv.data(), environment.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  ::close(ends[3]);
  Outcome outcome{};
  const auto drain = [](const UniqueFd& from, std::string& to) {
    std::array<char, 65536> buffer;
    const ssize_t n = ::read(from.Get(), buffer.data(), buffer.size());
    if (n > 0) to.append(buffer.data(), static_cast<std::size_t>(n));
    return n > 0;
  };
  for (bool more = true; more;) {
    std::array<pollfd, 2> polled = {{{out.Get(), POLLIN, 0}, {err.Get(), POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), 60'000) <= 0) ::kill(pid, SIGKILL);
    more = false;
    if (polled[0].revents != 0) more = drain(out, outcome.out);
    if (polled[1].revents != 0) more = drain(err, outcome.err) || more;
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

}  // namespace lazaret::tests
