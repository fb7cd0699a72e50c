#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "aio/task.h"
#include "http/body.h"
#include "http/date_field.h"
#include "http/exchange.h"
#include "http/input.h"
#include "net/io_thread.h"
#include "net/poller.h"

namespace lazaret::http {

struct ConnectionSettings {
  std::size_t max_head = 32 * 1024;   // bytes of request line and header fields; below net::BufferPool::kBufferBytes
  milliseconds head_timeout{10'000};  // for a whole head, from its first byte; for the first byte of a connection
  milliseconds idle_timeout{60'000};  // between requests
  BodyTimes body{milliseconds(30'000), milliseconds(30'000), 16 * 1024};
};

// One client connection: reads heads, has them answered one after the other, closes in good order.
class Connection final : private net::Watcher {
 public:
  // `draining` may become true at any time: the connection ends after the answer that is under way, or at once when
  // it is idle.
  Connection(net::Socket socket, net::IoThread& thread, DateField& date, Handler& handler,
             const ConnectionSettings& settings, const std::atomic<bool>& draining);

  aio::Task<> Run();

 private:
  // What is to be done with the connection after an answer.
  enum class Next { kKeep, kClose, kDrop };

  bool OnEvent() override;
  void WaitForRequest();
  std::optional<Result<std::string>> TakeHead();
  std::optional<Next> AnswerNow(const std::string& text);
  aio::Task<Next> Answer(std::string text);
  bool MayKeep(const wire::RequestHead& head, const Response& response) const;
  void Serialize(const Response& response, const wire::RequestHead& head, bool keep, std::string& out);
  aio::Task<bool> Write(Response response, std::string_view connection);
  aio::Task<bool> Send(std::string bytes);
  aio::Task<> CloseGently();

  net::PolledSocket socket_;
  net::IoThread& thread_;
  DateField& date_;
  Handler& handler_;
  const ConnectionSettings& settings_;
  const std::atomic<bool>& draining_;
  Deadline deadline_;
  net::IoThread::Watch watch_;
  Input input_;
  std::size_t searched_ = 0;  // bytes of a head that are known not to hold its end
  bool is_new_ = true;        // no request has come yet
  // What OnEvent leaves to Run.
  std::string head_;  // of a request that is for Answer
  std::optional<Next> answered_;
  std::string unsent_;
  std::exception_ptr failure_;
};

}  // namespace lazaret::http
