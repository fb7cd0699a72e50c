#include "clamd/connection.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <exception>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "aio/caught.h"

namespace lazaret::clamd {
namespace asio = boost::asio;

namespace {

constexpr milliseconds kLinger{5'000};
constexpr milliseconds kLingerAtTheEnd{500};

// For operator||, whose results have to be values.
aio::Task<bool> WithValue(aio::Task<> task) {
  co_await std::move(task);
  co_return true;
}

}  // namespace

using wire::ClamdAnswer;
using wire::ClamdCommand;
using wire::ClamdVerb;

Connection::Connection(net::Socket socket, net::IoThread& thread, Inspector& inspector,
                       const ConnectionSettings& settings, const std::atomic<bool>& draining)
    : inspector_(inspector),
      settings_(settings),
      draining_(draining),
      files_(inspector.MakeFileShare()),
      channel_(std::move(socket), thread, files_, settings.read_timeout),
      parser_(settings.max_stream),
      crew_(thread.io().get_executor(), thread.log(), std::min(settings.max_in_flight, 4 * inspector.Slots())) {}

aio::Task<> Connection::Run() {
  std::exception_ptr error;
  try {
    Next end = co_await Talk();
    if (end == Next::kFinish && !co_await channel_.UnlessGone(WithValue(crew_.Wait()))) end = Next::kDrop;
    if (end != Next::kDrop) {
      if (!crew_.empty()) co_await crew_.Stop();
      co_await channel_.CloseGently(draining_ ? kLingerAtTheEnd : kLinger);
    }
  } catch (...) {
    error = std::current_exception();
  }
  // Also a connection that is cancelled waits for its tasks: they use it.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await crew_.Stop();
  if (error) std::rethrow_exception(error);
}

void Connection::StartWaiting() {
  waiting_ = true;
  // As long as a session has something to be told, it may be silent.
  const SteadyTime end =
      is_new_ ? start_ + settings_.command_timeout : std::chrono::steady_clock::now() + settings_.read_timeout;
  channel_.SetReadDeadline(crew_.empty() ? end : SteadyTime::max());
  channel_.SetIdle(crew_.empty() && parser_.is_between_commands());
}

aio::Task<Connection::Next> Connection::Talk() {
  for (;;) {
    if (draining_ && crew_.empty() && parser_.is_between_commands()) co_return Next::kClose;
    StartWaiting();
    auto arrival = co_await channel_.Read();
    waiting_ = false;
    channel_.SetIdle(false);
    if (!arrival) {
      if (arrival.error().code != Errc::kTimeout) co_return Next::kDrop;
      co_return After(co_await channel_.Write(std::string(wire::kClamdReadTimedOut)), Next::kClose);
    }
    const Next next = co_await HandleArrival(*std::move(arrival));
    if (next != Next::kGoOn) co_return next;
  }
}

aio::Task<Connection::Next> Connection::HandleArrival(Channel::Arrival arrival) {
  fd_ = std::move(arrival.fd);
  parser_.Feed(arrival.bytes);
  while (auto event = parser_.Next()) {
    // std::visit would have to return an awaitable of a temporary lambda.
    Next next = Next::kGoOn;
    // A stream has no use for one.
    if (fd_ && !std::holds_alternative<ClamdCommand>(*event)) co_return co_await RefuseDescriptor(true);
    if (auto* command = std::get_if<ClamdCommand>(&*event)) {
      is_new_ = false;
      next = co_await Handle(std::move(*command));
    } else if (const auto* data = std::get_if<wire::ClamdStreamData>(&*event)) {
      next = co_await Handle(*data);
    } else if (const auto* end = std::get_if<wire::ClamdStreamEnd>(&*event)) {
      next = co_await Handle(*end);
    } else {
      next = co_await Handle(std::get<wire::ClamdFault>(*event));
    }
    if (next != Next::kGoOn) co_return next;
  }
  if (fd_) co_return co_await RefuseDescriptor(parser_.in_stream() || parser_.awaits_descriptor());
  co_return Next::kGoOn;
}

aio::Task<Connection::Next> Connection::RefuseDescriptor(bool in_command) {
  fd_.reset();
  const ClamdAnswer answer(parser_.current_id(), parser_.terminator());
  std::string replies = answer.Failure(wire::kClamdStrayDescriptor);
  if (in_command) replies += answer.Failure(wire::kClamdProcessing);
  co_return After(co_await channel_.Write(std::move(replies)), Next::kClose);
}

aio::Task<Connection::Next> Connection::Handle(wire::ClamdFault fault) {
  const ClamdAnswer answer(parser_.current_id(), parser_.terminator());
  switch (fault) {
    case wire::ClamdFault::kTooLong: break;
    case wire::ClamdFault::kOldStyleInSession:
      co_return After(co_await channel_.Write(answer.Failure(wire::kClamdOldStyleInSession) +
                                              answer.Failure(wire::kClamdProcessing)),
                      Next::kClose);
    case wire::ClamdFault::kStreamTooLarge: {
      if (!upload_->writer) co_return Next::kClose;  // it has its answer
      (void)inspector_.Refuse(Error{Errc::kTooLarge, "INSTREAM size limit exceeded"});
      upload_.reset();
      co_return After(co_await channel_.Write(answer.Failure(wire::kClamdStreamTooLarge)), Next::kClose);
    }
  }
  co_return Next::kClose;
}

aio::Task<Connection::Next> Connection::Handle(ClamdCommand command) {
  if (command.verb == ClamdVerb::kInstream) {
    upload_.emplace(Upload{ClamdAnswer(command), inspector_.clock().SteadyNow(), std::nullopt});
    if (auto refused = inspector_.RefuseEarly()) co_return co_await RefuseUpload(*std::move(refused));
    upload_->writer.emplace(inspector_.NewWriter());
    co_return Next::kGoOn;
  }
  if (command.verb == ClamdVerb::kIdSession && command.id == 0) co_return Next::kGoOn;
  if (parser_.in_session()) co_return co_await HandleInSession(std::move(command));
  co_return co_await HandleAlone(std::move(command));
}

aio::Task<Connection::Next> Connection::HandleInSession(ClamdCommand command) {
  const ClamdAnswer answer(command);
  switch (command.verb) {
    case ClamdVerb::kPing: co_return After(co_await channel_.Write(answer.Plain(wire::kClamdPong)), Next::kGoOn);
    case ClamdVerb::kVersion:
    case ClamdVerb::kVersionCommands: co_return After(co_await channel_.Write(VersionReply(command)), Next::kGoOn);
    case ClamdVerb::kStats: co_return After(co_await channel_.Write(StatsReply(command)), Next::kGoOn);
    case ClamdVerb::kEnd: co_return Next::kFinish;
    case ClamdVerb::kScan: co_return co_await Start(answer, AnswerPath(std::move(command)));
    case ClamdVerb::kFildes: {
      if (!fd_) co_return After(co_await channel_.Write(answer.Failure(wire::kClamdNoDescriptor)), Next::kFinish);
      KeptFd fd = std::move(fd_);
      co_return co_await Start(answer, AnswerDescriptor(answer, std::move(fd)));
    }
    default: co_return After(co_await channel_.Write(answer.Failure(wire::kClamdInvalidInSession)), Next::kFinish);
  }
}

aio::Task<Connection::Next> Connection::HandleAlone(ClamdCommand command) {
  const ClamdAnswer answer(command);
  std::string reply;
  switch (command.verb) {
    case ClamdVerb::kPing: reply = answer.Plain(wire::kClamdPong); break;
    case ClamdVerb::kVersion:
    case ClamdVerb::kVersionCommands: reply = VersionReply(command); break;
    case ClamdVerb::kStats: reply = StatsReply(command); break;
    case ClamdVerb::kReload: {
      const InspectorSettings& settings = inspector_.settings();
      if (settings.accepts_reload && settings.on_reload) settings.on_reload();
      reply = answer.Plain(settings.accepts_reload ? wire::kClamdReloading : wire::kClamdUnavailable);
      break;
    }
    case ClamdVerb::kShutdown: reply = answer.Plain(wire::kClamdUnavailable); break;
    case ClamdVerb::kDetStats:
    case ClamdVerb::kDetStatsClear: break;
    case ClamdVerb::kFildes: {
      if (!fd_) {
        reply = answer.Failure(wire::kClamdNoDescriptor);
        break;
      }
      KeptFd fd = std::move(fd_);
      co_await ComplainOfExcess(answer);
      co_return co_await Alone(answer, AnswerDescriptor(answer, std::move(fd)));
    }
    case ClamdVerb::kScan:
    case ClamdVerb::kContScan:
    case ClamdVerb::kMultiScan:
    case ClamdVerb::kAllMatchScan:
      co_await ComplainOfExcess(answer);
      co_return co_await Alone(answer, AnswerPath(std::move(command)));
    default: reply = answer.Plain(wire::kClamdUnknown); break;
  }
  co_return After(co_await channel_.Write(std::move(reply)), Next::kClose);
}

aio::Task<Connection::Next> Connection::RefuseUpload(Finding finding) {
  upload_->writer.reset();
  // Told at once; what the client still sends of it is passed over.
  co_return After(co_await channel_.Write(finding.Reply(upload_->answer, "stream")), Next::kGoOn);
}

aio::Task<Connection::Next> Connection::Handle(wire::ClamdStreamData data) {
  if (!upload_->writer) co_return Next::kGoOn;
  const auto appended = co_await upload_->writer->Append(data.bytes, inspector_.Deadline());
  if (!appended) co_return co_await RefuseUpload(inspector_.Refuse(appended.error()));
  co_return Next::kGoOn;
}

aio::Task<Connection::Next> Connection::Handle(wire::ClamdStreamEnd) {
  Upload upload = *std::move(upload_);
  upload_.reset();
  const bool in_session = parser_.in_session();
  if (!upload.writer) co_return in_session ? Next::kGoOn : Next::kClose;
  const ClamdAnswer answer = upload.answer;
  if (!in_session) co_return co_await Alone(answer, AnswerUpload(std::move(upload)));
  co_return co_await Start(answer, AnswerUpload(std::move(upload)));
}

std::string Connection::VersionReply(const ClamdCommand& command) const {
  const ClamdAnswer answer(command);
  const auto version = inspector_.Version();
  if (!version) return answer.Failure(fmt::format("No engine is ready: {}", version.error().what));
  return answer.Plain(command.verb == ClamdVerb::kVersion ? *version : wire::ClamdVersionCommands(*version));
}

std::string Connection::StatsReply(const ClamdCommand& command) const {
  const auto idle = std::chrono::duration_cast<seconds>(settings_.read_timeout).count();
  return ClamdAnswer(command).Plain(inspector_.Stats(static_cast<std::size_t>(idle)));
}

aio::Task<> Connection::AnswerUpload(Upload upload) {
  const Finding finding = co_await inspector_.InspectUpload(*std::move(upload.writer), upload.since);
  co_await channel_.Write(finding.Reply(upload.answer, "stream"));
}

aio::Task<> Connection::AnswerDescriptor(ClamdAnswer answer, KeptFd fd) {
  const std::string subject = fmt::format("fd[{}]", fd->Get());
  const Finding finding = co_await inspector_.InspectFile(std::move(fd), files_);
  co_await channel_.Write(finding.Reply(answer, subject));
}

aio::Task<> Connection::AnswerPath(ClamdCommand command) {
  if (!parser_.in_session()) {
    path_scan_.emplace(std::move(command), inspector_, files_, channel_, crew_);
    co_await path_scan_->Run();
    co_return;
  }
  // SCAN, which uses no crew.
  PathScan scan(std::move(command), inspector_, files_, channel_, crew_);
  co_await scan.Run();
}

aio::Task<> Connection::Answered(ClamdAnswer answer, aio::Task<> task) {
  const auto done = co_await aio::Caught(std::move(task));
  if (done) co_return;
  inspector_.Report(done.error());
  co_await channel_.Write(answer.Failure(wire::kClamdProcessing));
}

aio::Task<> Connection::Started(ClamdAnswer answer, aio::Task<> task) {
  const struct Ending {
    Connection& connection;
    ~Ending() { connection.RestartPatience(); }
  } ending{*this};
  co_await Answered(answer, std::move(task));
}

aio::Task<Connection::Next> Connection::Start(ClamdAnswer answer, aio::Task<> task) {
  if (crew_.is_full() && !co_await channel_.UnlessGone(WithValue(crew_.WaitForPlace()))) co_return Next::kDrop;
  co_await crew_.Add(Started(answer, std::move(task)));
  co_return Next::kGoOn;
}

void Connection::RestartPatience() {
  // Only when this was the last one: it is still counted itself.
  if (!waiting_ || crew_.size() > 1) return;
  channel_.SetReadDeadline(std::chrono::steady_clock::now() + settings_.read_timeout);
  channel_.SetIdle(parser_.is_between_commands());
  if (draining_) channel_.EndIfIdle();
}

aio::Task<Connection::Next> Connection::Alone(ClamdAnswer answer, aio::Task<> task) {
  channel_.Release();
  aio::Task<bool> answered = WithValue(Answered(answer, std::move(task)));
  const auto done = co_await channel_.UnlessGone(std::move(answered));
  co_return done ? Next::kClose : Next::kDrop;
}

aio::Task<> Connection::ComplainOfExcess(const ClamdAnswer& answer) {
  if (parser_.has_excess()) co_await channel_.Write(answer.Failure(wire::kClamdProcessing));
}

}  // namespace lazaret::clamd
