#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "integration/http_client.h"

namespace lazaret::tests {

// One call as it came.
struct Call {
  std::string target;
  Headers headers;
  std::string body;

  std::string Field(std::string_view name) const;  // "" when it is not there
  // Whether webhook-signature is what the Standard Webhooks convention wants for this secret ("whsec_...").
  bool IsSignedWith(std::string_view secret) const;
};

// Somebody on 127.0.0.1 who is called back: takes one request from each connection, in turn.
class CallbackReceiver {
 public:
  CallbackReceiver();
  ~CallbackReceiver();
  CallbackReceiver(const CallbackReceiver&) = delete;
  CallbackReceiver& operator=(const CallbackReceiver&) = delete;

  std::uint16_t port() const { return port_; }
  std::string Url(std::string_view host = "127.0.0.1", std::string_view path = "/called") const;

  // What the calls to come are answered with, 204 at first; 0: nothing, the caller waits.
  void AnswerWith(int status, std::string fields = "", std::string body = "");
  std::vector<Call> Calls() const;
  // All of them, once there are so many; fewer after kPatience.
  std::vector<Call> WaitForCalls(std::size_t count) const;

 private:
  void Serve();
  void TakeCall(UniqueFd connection);

  UniqueFd listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable grown_;
  int status_ = 204;
  std::string fields_;
  std::string body_;
  std::vector<Call> calls_;
  std::vector<UniqueFd> unanswered_;
  std::jthread thread_;
};

}  // namespace lazaret::tests
