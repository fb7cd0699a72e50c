#include "integration/redis_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "integration/processes.h"
#include "redis/command.h"
#include "redis/reply_parser.h"
#include "redis/slot.h"

namespace lazaret::tests {
namespace {

// Of redis-server when that is installed; in Debian's redis-tools the same program has another name only.
std::string Program() {
  for (const char* path : {"/usr/bin/redis-server", "/usr/bin/redis-check-rdb"}) {
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error("no redis-server: install redis-tools");
}

pid_t Launch(const std::string& program, std::vector<std::string> arguments, std::vector<std::string> environment,
             const std::filesystem::path& log) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log_file = log.native();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (std::string& variable : environment) ::putenv(variable.data());
  const int out = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

bool IsFree(std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return ::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

void Run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

}  // namespace

std::uint16_t FreePort() {
  // The bus of a cluster needs port + 10000, which is fixed as well: neither may be one that the kernel gives to
  // others.
  static std::mt19937 random{std::random_device()()};
  std::uniform_int_distribution<int> some(11'000, 22'000);
  for (int i = 0; i < 1000; ++i) {
    const auto port = static_cast<std::uint16_t>(some(random));
    if (IsFree(port) && IsFree(static_cast<std::uint16_t>(port + 10'000))) return port;
  }
  throw std::runtime_error("no free port");
}

RedisCertificates::RedisCertificates(const TestDirectory& directory) : directory_(directory / "certificates") {
  directory.MakeDirectory("certificates");
  const auto openssl = [this](const std::string& arguments) {
    Run(fmt::format("cd {} && openssl {} >>log 2>&1", directory_.native(), arguments));
  };
  for (const char* authority : {"ca", "another"}) {
    openssl(
        fmt::format("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={0} "
                    "-keyout {0}.key -out {0}.crt",
                    authority));
  }
  const auto sign = [&](const std::string& name, const std::string& extension) {
    openssl(
        fmt::format("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={0} -keyout {0}.key "
                    "-out {0}.csr",
                    name));
    std::ofstream(directory_ / (name + ".ext")) << extension << '\n';
    openssl(
        fmt::format("x509 -req -in {0}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile {0}.ext "
                    "-out {0}.crt",
                    name));
  };
  sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1");
  sign("other", "subjectAltName=DNS:redis.example");
  sign("client", "extendedKeyUsage=clientAuth");
}

RedisProcess::RedisProcess(RedisOptions options) : options_(std::move(options)) {
  // Somebody else may have taken the port: once more with another.
  for (int attempt = 1;; ++attempt) {
    port_ = FreePort();
    try {
      Start();
      return;
    } catch (const std::runtime_error&) {
      Kill();
      if (attempt == 3) throw;
    }
  }
}

RedisProcess::~RedisProcess() { Kill(); }

void RedisProcess::Start() {
  const std::string port = std::to_string(port_);
  std::vector<std::string> arguments = {"redis-server"};
  if (options_.sentinel) {
    // Sentinels write to their configuration.
    const auto file = directory_ / "sentinel.conf";
    if (!std::filesystem::exists(file)) {
      std::ofstream out(file);
      for (const std::string& line : options_.arguments) out << line << '\n';
    }
    arguments.insert(arguments.end(), {file.native(), "--sentinel"});
  }
  arguments.insert(arguments.end(), {options_.tls ? "--tls-port" : "--port", port, "--bind", "127.0.0.1",
                                     "--unixsocket", socket(), "--dir", directory_.path().native()});
  if (!options_.sentinel) {
    arguments.insert(arguments.end(),
                     {"--save", "", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"});
    if (options_.tls) {
      const RedisCertificates& files = *options_.certificates;
      arguments.insert(arguments.end(), {"--port", "0", "--tls-ca-cert-file", files.File("ca.crt")});
    }
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  }
  pid_ = Launch(Program(), arguments, options_.environment, directory_ / "log");
  const bool answers = Eventually([&] {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) pid_ = 0;
    if (pid_ == 0) return true;
    try {
      // Any error reply but LOADING: a password may be demanded.
      return !Ask({"PING"}).text().starts_with("LOADING");
    } catch (const std::runtime_error&) {
      return false;
    }
  });
  if (!answers || pid_ == 0) throw std::runtime_error("redis-server does not answer: " + Log());
}

std::string RedisProcess::Url() const {
  return fmt::format("{}://localhost:{}", options_.tls ? "rediss" : "redis", port_);
}

void RedisProcess::Kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void RedisProcess::Stop() const { ::kill(pid_, SIGSTOP); }
void RedisProcess::Continue() const { ::kill(pid_, SIGCONT); }

redis::Reply RedisProcess::Ask(std::vector<std::string> arguments) const {
  const auto connection = ConnectToUnixSocket(socket());
  if (!connection) throw std::runtime_error(connection.error().what);
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  const redis::Command command{std::span<const std::string_view>(views)};
  if (::send(connection->Get(), command.bytes().data(), command.bytes().size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(command.bytes().size())) {
    throw std::runtime_error("the command could not be sent");
  }
  redis::ReplyParser parser(std::size_t{1} << 30);
  for (;;) {
    char buffer[4096];
    const ssize_t n = ::read(connection->Get(), buffer, sizeof buffer);
    if (n <= 0) throw std::runtime_error("redis-server went away");
    auto replies = parser.Feed(AsBytes(std::string_view(buffer, static_cast<std::size_t>(n))));
    if (!replies) throw std::runtime_error(replies.error().what);
    if (!replies->empty()) return std::move(replies->front());
  }
}

std::string RedisProcess::Log() const {
  std::ifstream in(directory_ / "log");
  return {std::istreambuf_iterator<char>(in), {}};
}

RedisCluster::RedisCluster(std::size_t masters, bool replicas, std::vector<std::string> arguments,
                           std::vector<std::string> environment)
    : masters_(masters) {
  std::vector<std::string> all = {
      "--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-replica-validity-factor", "0"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  for (std::size_t i = 0; i < masters * (replicas ? 2 : 1); ++i) {
    nodes_.push_back(std::make_unique<RedisProcess>(RedisOptions{.arguments = all, .environment = environment}));
    nodes_.back()->Ask({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)});
  }
  for (std::size_t i = 0; i < masters; ++i) {
    const std::size_t first = i * redis::kSlots / masters;
    const std::size_t last = (i + 1) * redis::kSlots / masters - 1;
    nodes_[i]->Ask({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(last)});
  }
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    nodes_[i]->Ask({"CLUSTER", "MEET", "127.0.0.1", std::to_string(nodes_[0]->port())});
  }
  for (std::size_t i = masters; i < nodes_.size(); ++i) {
    const std::string master = IdOf(i - masters);
    if (!Eventually([&] { return nodes_[i]->Ask({"CLUSTER", "REPLICATE", master}).text() == "OK"; })) {
      throw std::runtime_error("a replica does not learn of its master");
    }
  }
  if (!WaitUntilOk()) throw std::runtime_error("the cluster does not come up");
  for (std::size_t i = masters; i < nodes_.size(); ++i) {
    if (!Eventually([&] {
          return nodes_[i]->Ask({"INFO", "replication"}).text().find("master_link_status:up") != std::string::npos;
        })) {
      throw std::runtime_error("a replica does not follow its master");
    }
  }
}

std::string RedisCluster::Url() const {
  std::string hosts;
  for (std::size_t i = 0; i < masters_; ++i)
    hosts += fmt::format("{}127.0.0.1:{}", i == 0 ? "" : ",", nodes_[i]->port());
  return "redis+cluster://" + hosts;
}

std::string RedisCluster::IdOf(std::size_t i) const { return nodes_[i]->Ask({"CLUSTER", "MYID"}).text(); }

std::size_t RedisCluster::OwnerOf(std::uint16_t slot) const {
  const redis::Reply reply = [&] {
    for (const auto& node : nodes_) {
      if (node->is_running()) return node->Ask({"CLUSTER", "SLOTS"});
    }
    throw std::runtime_error("no node runs");
  }();
  for (const redis::Reply& range : reply.elements()) {
    if (slot < range.elements()[0].integer() || slot > range.elements()[1].integer()) continue;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i]->port() == range.elements()[2].elements()[1].integer()) return i;
    }
  }
  throw std::runtime_error("nobody has the slot");
}

bool RedisCluster::WaitUntilOk() const {
  return Eventually([&] {
    for (const auto& node : nodes_) {
      if (!node->is_running()) continue;
      const std::string info = node->Ask({"CLUSTER", "INFO"}).text();
      if (info.find("cluster_state:ok") == info.npos) return false;
      if (info.find(fmt::format("cluster_known_nodes:{}\r", nodes_.size())) == info.npos) return false;
    }
    return true;
  });
}

RedisSentinels::RedisSentinels(std::vector<std::string> sentinel_arguments) {
  servers_.push_back(std::make_unique<RedisProcess>());
  const std::string port = std::to_string(servers_[0]->port());
  servers_.push_back(std::make_unique<RedisProcess>(RedisOptions{.arguments = {"--replicaof", "127.0.0.1 " + port}}));
  std::vector<std::string> lines = {fmt::format("sentinel monitor lazaret 127.0.0.1 {} 2", port),
                                    "sentinel down-after-milliseconds lazaret 500",
                                    "sentinel failover-timeout lazaret 2000"};
  lines.insert(lines.end(), sentinel_arguments.begin(), sentinel_arguments.end());
  for (int i = 0; i < 3; ++i) {
    sentinels_.push_back(std::make_unique<RedisProcess>(RedisOptions{.arguments = lines, .sentinel = true}));
  }
  // Before they know each other and the replica they can replace nobody.
  const bool ready = Eventually([&] {
    for (const auto& sentinel : sentinels_) {
      if (sentinel->Ask({"SENTINEL", "REPLICAS", "lazaret"}).elements().size() != 1) return false;
      if (sentinel->Ask({"SENTINEL", "SENTINELS", "lazaret"}).elements().size() != 2) return false;
    }
    return servers_[1]->Ask({"INFO", "replication"}).text().find("master_link_status:up") != std::string::npos;
  });
  if (!ready) throw std::runtime_error("the sentinels do not come together");
}

std::string RedisSentinels::Url() const {
  std::string hosts;
  for (const auto& sentinel : sentinels_)
    hosts += fmt::format("{}127.0.0.1:{}", hosts.empty() ? "" : ",", sentinel->port());
  return fmt::format("redis+sentinel://{}/lazaret", hosts);
}

std::uint16_t RedisSentinels::MasterPort() const {
  for (const auto& sentinel : sentinels_) {
    if (!sentinel->is_running()) continue;
    return static_cast<std::uint16_t>(
        std::stoi(sentinel->Ask({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "lazaret"}).elements().at(1).text()));
  }
  throw std::runtime_error("no sentinel runs");
}

}  // namespace lazaret::tests
