#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "clamav/clamd_address.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

// Contents that begin so are answered by the script.
inline constexpr std::string_view kScripted = "SCRIPTED\n";

// How a server answers such a content.
struct Script {
  std::string reply;       // in which {} stands for "stream" or "fd[12]"
  bool at_once = false;    // without reading the upload
  bool reset = false;      // instead of an orderly end
  bool stay_open = false;  // until the client closes
  bool refuses_descriptors = false;
  // What VERSION says after an odd number of them; empty: no answer.
  std::string version_after = "ClamAV 1.4.6/28129/Mon Nov 23 07:00:00 2026";
  std::vector<std::string> first = {};      // replies to the first ones, instead of `reply`
  std::size_t looks_into_after = SIZE_MAX;  // from then on: calls larger contents OK, whatever is in them
  bool finds_nothing = false;               // not even EICAR
};

// Speaks clamd's protocol just well enough to pass an examination, and then as badly as the script says: finds EICAR,
// calls everything else clean. One thread for each connection.
class ScriptedClamd {
 public:
  ScriptedClamd(const TestDirectory& root, bool tcp, Script script);
  // On a port of an address of this machine; 0 is any.
  ScriptedClamd(const std::string& host, std::uint16_t port, Script script);
  ~ScriptedClamd();
  ScriptedClamd(const ScriptedClamd&) = delete;
  ScriptedClamd& operator=(const ScriptedClamd&) = delete;

  const clamav::ClamdAddress& address() const { return address_; }
  int scripted_scans() const { return scripted_scans_; }
  // Connections with stay_open that the client has closed.
  int closed_by_client() const { return closed_by_client_; }

 private:
  void ListenOn(const std::string& host, std::uint16_t port);
  void Listen(const void* address, std::size_t size);
  void Accept();
  void Serve(UniqueFd socket);
  void Answer(const UniqueFd& socket, std::string_view subject, const std::string& content);
  void PlayScript(const UniqueFd& socket, std::string_view subject);

  const Script script_;
  clamav::ClamdAddress address_;
  UniqueFd listener_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> scripted_scans_ = 0;
  std::atomic<int> closed_by_client_ = 0;
  std::mutex mutex_;  // guards what follows
  std::vector<int> open_;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace lazaret::tests
