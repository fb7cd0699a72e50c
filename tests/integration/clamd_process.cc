#include "integration/clamd_process.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "base/digest.h"
#include "base/unique_fd.h"
#include "integration/archives.h"
#include "integration/http_client.h"
#include "integration/processes.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

using namespace std::string_view_literals;

std::string Hex(std::string_view text) {
  std::string hex;
  for (const char c : text) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

std::uint16_t FreePort() {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(socket.Get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket.Get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

UniqueFd ConnectTo(const clamav::ClamdAddress& to) {
  if (!to.is_unix()) return Connect(to.port);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  to.path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(socket.Get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  return socket;
}

// An unsigned database: a header of 512 bytes and a tar file that begins with what it repeats (cvd.c of libclamav).
std::string MakeDailyDatabase(unsigned number, const std::string& signatures) {
  constexpr std::int64_t kFirstDay = 1'795'417'200;
  const std::string header =
      fmt::format("ClamAV-VDB:23 Nov 2026 07-00 +0000:{}:1:90:{}:X:test:{}", number, std::string(32, '0'),
                  kFirstDay + (static_cast<std::int64_t>(number) - 28'129) * 86'400);
  const std::string info =
      fmt::format("{}\ndaily.ndb:{}:{}\n", header, signatures.size(), Sha256::Of(AsBytes(signatures)).Hex());
  return fmt::format("{:<512}", header) + MakeTar({{"daily.info", info}, {"daily.ndb", signatures}});
}

}  // namespace

ClamdProcess::ClamdProcess(const TestDirectory& root, const std::string& name, ClamdOptions options)
    : root_(root), name_(name), options_(std::move(options)) {
  const std::filesystem::path directory = root_.MakeDirectory(name_);
  root_.MakeDirectory(name_ + "/tmp");
  if (options_.tcp) {
    address_ = {.path = {}, .host = "127.0.0.1", .port = FreePort()};
  } else {
    address_ = {.path = directory / "socket", .host = {}, .port = 0};
  }
  std::string settings =
      fmt::format("Foreground yes\nDatabaseDirectory {}\nTemporaryDirectory {}/tmp\nMaxThreads 10\n",
                  (options_.signatures.empty() ? directory / "db" : options_.signatures).native(), directory.native());
  settings += options_.tcp ? fmt::format("TCPAddr 127.0.0.1\nTCPSocket {}\n", address_.port)
                           : fmt::format("LocalSocket {}\n", address_.path);
  if (::geteuid() == 0) settings += "User root\n";
  for (const std::string& line : options_.settings) settings += line + "\n";
  root_.Write(name_ + "/clamd.conf", settings);
  if (options_.signatures.empty()) WriteSignatures();
  Start();
}

ClamdProcess::~ClamdProcess() { Kill(); }

void ClamdProcess::WriteSignatures() const {
  std::string signatures = fmt::format("Test.Set{}:0:*:{}\n", options_.daily, Hex(kClamdMarker));
  if (options_.knows_eicar) signatures += fmt::format("Test.Eicar:0:*:{}\n", Hex(Eicar()));
  root_.Write(name_ + "/new", MakeDailyDatabase(options_.daily, signatures));
  std::filesystem::create_directories(root_ / (name_ + "/db"));
  std::filesystem::rename(root_ / (name_ + "/new"), root_ / (name_ + "/db/daily.cud"));
}

void ClamdProcess::Start() {
  std::string config = "--config-file=" + (root_ / (name_ + "/clamd.conf")).native();
  std::string log = (root_ / (name_ + "/output")).native();
  std::string program = "clamd";
  char* argv[] = {program.data(), config.data(), nullptr};
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execv("/usr/sbin/clamd", argv);
    ::_exit(127);
  }
  if (!Eventually([&] { return Ask("zPING\0"sv) == "PONG\0"sv; })) throw std::runtime_error("clamd does not answer");
}

void ClamdProcess::Kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void ClamdProcess::Signal(int number) const { ::kill(pid_, number); }

void ClamdProcess::Reload(unsigned daily) {
  options_.daily = daily;
  WriteSignatures();
  Ask("zRELOAD\0"sv);
}

std::string AskClamd(const clamav::ClamdAddress& address, std::string_view command) {
  const UniqueFd socket = ConnectTo(address);
  if (!socket || ::send(socket.Get(), command.data(), command.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer;
  char buffer[512];
  for (ssize_t n; (n = ::recv(socket.Get(), buffer, sizeof buffer, 0)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  return answer;
}

}  // namespace lazaret::tests
