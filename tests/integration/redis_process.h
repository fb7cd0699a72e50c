#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "integration/test_directory.h"
#include "redis/reply.h"
#include "redis/url.h"

namespace lazaret::tests {

// A port of 127.0.0.1 that was free a moment ago, below the kernel's own range and with port + 10000 free, too: another
// program may take it before it is used.
std::uint16_t FreePort();

struct RedisOptions {
  std::vector<std::string> arguments;  // as in redis.conf: "--appendonly", "yes"
  bool tls = false;                    // the port speaks TLS, with the certificates of `certificates`
  const class RedisCertificates* certificates = nullptr;
  bool sentinel = false;
  std::vector<std::string> environment = {};  // "NAME=value"
};

// A certificate authority and what it signed, made with openssl(1): server.{crt,key} for localhost and 127.0.0.1,
// other.{crt,key} for redis.example, client.{crt,key}, and another.crt of an authority that signed nothing.
class RedisCertificates {
 public:
  explicit RedisCertificates(const TestDirectory& directory);
  std::string File(std::string_view name) const { return (directory_ / name).native(); }

 private:
  std::filesystem::path directory_;
};

// A redis-server on a port of 127.0.0.1 and on a Unix socket, with its files in a directory of its own. Destroying it
// kills it, and the kernel kills it when the test dies.
class RedisProcess {
 public:
  // Returns when it answers; throws when it does not.
  explicit RedisProcess(RedisOptions options = {});
  ~RedisProcess();
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;

  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  bool is_running() const { return pid_ != 0; }
  std::string socket() const { return (directory_ / "redis.sock").native(); }
  std::string Url() const;  // redis:// or rediss://, with localhost

  void Kill();            // SIGKILL
  void Start();           // again, on the same port with the same files
  void Stop() const;      // SIGSTOP
  void Continue() const;  // SIGCONT

  // One command over the Unix socket, to its end. Throws when that fails; error replies come back.
  redis::Reply Ask(std::vector<std::string> arguments) const;
  std::string Log() const;

 private:
  RedisOptions options_;
  TestDirectory directory_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

// Masters that share the slots evenly, with a replica each if asked for.
class RedisCluster {
 public:
  explicit RedisCluster(std::size_t masters = 3, bool replicas = false, std::vector<std::string> arguments = {},
                        std::vector<std::string> environment = {});

  std::string Url() const;  // redis+cluster:// with all masters
  std::size_t size() const { return nodes_.size(); }
  RedisProcess& node(std::size_t i) { return *nodes_[i]; }  // masters first, then the replica of each
  std::string IdOf(std::size_t i) const;
  // Of the node that says it has `slot`, masters and promoted replicas alike.
  std::size_t OwnerOf(std::uint16_t slot) const;
  // Whether every running node says that the cluster is well, within kPatience.
  bool WaitUntilOk() const;

 private:
  std::vector<std::unique_ptr<RedisProcess>> nodes_;
  std::size_t masters_;
};

// A master, a replica and three sentinels that watch them under the name "lazaret".
class RedisSentinels {
 public:
  explicit RedisSentinels(std::vector<std::string> sentinel_arguments = {});

  std::string Url() const;
  RedisProcess& master() { return *servers_[0]; }
  RedisProcess& replica() { return *servers_[1]; }
  RedisProcess& sentinel(std::size_t i) { return *sentinels_[i]; }
  // The port that the first running sentinel names.
  std::uint16_t MasterPort() const;

 private:
  std::vector<std::unique_ptr<RedisProcess>> servers_;
  std::vector<std::unique_ptr<RedisProcess>> sentinels_;
};

}  // namespace lazaret::tests
