#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "aio/task.h"
#include "base/clock.h"
#include "clamd/channel.h"
#include "clamd/crew.h"
#include "clamd/inspector.h"
#include "clamd/path_scan.h"
#include "wire/clamd_answer.h"
#include "wire/clamd_command.h"

namespace lazaret::clamd {

struct ConnectionSettings {
  std::uint64_t max_stream = 100 * 1024 * 1024;  // bytes of one INSTREAM content
  milliseconds command_timeout{30'000};          // from the connection to its first command
  milliseconds read_timeout{120'000};  // between two reads of a stream or of a session; for a reply to be taken
  std::size_t max_in_flight = 32;      // requests of one session that wait for their answer
};

// One client: reads its commands, has them answered, closes in good order.
class Connection {
 public:
  // `draining` may become true at any time: what is under way is answered, then the connection ends.
  Connection(net::Socket socket, net::IoThread& thread, Inspector& inspector, const ConnectionSettings& settings,
             const std::atomic<bool>& draining);

  aio::Task<> Run();

 private:
  enum class Next : std::uint8_t {
    kGoOn,
    kFinish,  // answer what is under way, then close
    kClose,   // close; what is under way is given up
    kDrop,    // there is nobody to tell
  };
  // A content that is being sent; without a writer it has been refused, and answered.
  struct Upload {
    wire::ClamdAnswer answer;
    SteadyTime since;
    std::optional<SpoolWriter> writer;
  };

  aio::Task<Next> Talk();
  aio::Task<Next> HandleArrival(Channel::Arrival arrival);
  aio::Task<Next> Handle(wire::ClamdCommand command);
  aio::Task<Next> HandleInSession(wire::ClamdCommand command);
  aio::Task<Next> HandleAlone(wire::ClamdCommand command);
  aio::Task<Next> Handle(wire::ClamdStreamData data);
  aio::Task<Next> Handle(wire::ClamdStreamEnd end);
  aio::Task<Next> Handle(wire::ClamdFault fault);
  aio::Task<Next> RefuseDescriptor(bool in_command);
  aio::Task<Next> RefuseUpload(Finding finding);

  std::string VersionReply(const wire::ClamdCommand& command) const;
  std::string StatsReply(const wire::ClamdCommand& command) const;

  // What a session has under way; alone, what the client waits for.
  aio::Task<> AnswerUpload(Upload upload);
  aio::Task<> AnswerDescriptor(wire::ClamdAnswer answer, KeptFd fd);
  aio::Task<> AnswerPath(wire::ClamdCommand command);
  // What `task` throws becomes clamd's word for it.
  aio::Task<> Answered(wire::ClamdAnswer answer, aio::Task<> task);
  aio::Task<> Started(wire::ClamdAnswer answer, aio::Task<> task);
  aio::Task<Next> Start(wire::ClamdAnswer answer, aio::Task<> task);
  aio::Task<Next> Alone(wire::ClamdAnswer answer, aio::Task<> task);
  void RestartPatience();
  // clamd's word for what a client sends behind its only command.
  aio::Task<> ComplainOfExcess(const wire::ClamdAnswer& answer);

  Next After(bool written, Next next) const { return written ? next : Next::kDrop; }
  void StartWaiting();

  Inspector& inspector_;
  const ConnectionSettings& settings_;
  const std::atomic<bool>& draining_;
  FileShare files_;
  Channel channel_;
  wire::ClamdCommandParser parser_;
  std::optional<Upload> upload_;
  KeptFd fd_;  // came with what is being handled
  const SteadyTime start_ = std::chrono::steady_clock::now();
  bool is_new_ = true;                 // its first command has not come
  bool waiting_ = false;               // for the client's next bytes
  std::optional<PathScan> path_scan_;  // outlives the tasks of the crew
  Crew crew_;
};

}  // namespace lazaret::clamd
