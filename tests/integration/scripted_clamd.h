#pragma once

#include <atomic>
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
  std::string version_after = "ClamAV 1.4.6/28129/Mon Nov 23 07:00:00 2026";  // from then on; empty: no answer
};

// Speaks clamd's protocol just well enough to pass an examination, and then as badly as the script says: finds EICAR,
// calls everything else clean. One thread for each connection.
class ScriptedClamd {
 public:
  ScriptedClamd(const TestDirectory& root, bool tcp, Script script);
  ~ScriptedClamd();
  ScriptedClamd(const ScriptedClamd&) = delete;
  ScriptedClamd& operator=(const ScriptedClamd&) = delete;

  const clamav::ClamdAddress& address() const { return address_; }
  int scripted_scans() const { return scripted_scans_; }
  // Connections with stay_open that the client has closed.
  int closed_by_client() const { return closed_by_client_; }

 private:
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
