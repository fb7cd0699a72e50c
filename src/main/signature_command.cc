#include "main/signature_command.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "aio/blocking_pool.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/exception.h"
#include "base/log.h"
#include "clamav/signature_check.h"
#include "core/telemetry.h"
#include "main/control_client.h"
#include "main/control_command.h"
#include "main/engine_side.h"
#include "main/settings.h"
#include "main/signature_json.h"
#include "main/signature_side.h"
#include "main/signature_text.h"
#include "wire/percent.h"

namespace lazaret {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Action = config::Signatures::Action;

// A change takes as long as loading does, and longer where nodes reload in turn.
constexpr seconds kPatience = std::chrono::hours(2);

// A new directory that is removed with all that is in it.
class ScratchDirectory {
 public:
  static Result<ScratchDirectory> Make() {
    std::error_code failed;
    std::string path = (std::filesystem::temp_directory_path(failed) / "lazaret-check-XXXXXX").native();
    if (failed) return Fail(Errc::kUnavailable, "there is no directory for temporary files: " + failed.message());
    if (::mkdtemp(path.data()) == nullptr) return std::unexpected(SystemError("cannot make " + path, errno));
    return ScratchDirectory(std::move(path));
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    std::error_code failed;
    if (!path_.empty()) std::filesystem::remove_all(path_, failed);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

Result<void> Print(std::string body, bool as_json, std::string (*text)(const json::object&, WallTime)) {
  if (as_json) return PrintOut(body.ends_with('\n') ? body : body + "\n");
  const auto object = ParseObject(body);
  if (!object) return std::unexpected(object.error());
  return PrintOut(text(*object, SystemClock().Now()));
}

std::string ChangeText(const json::object& answer, WallTime now) {
  const json::value* const changed = answer.if_contains("changed");
  const bool has_changed = changed != nullptr && changed->is_bool() && changed->get_bool();
  const json::value* const signatures = answer.if_contains("signatures");
  const std::string head = has_changed ? "other signatures are in use now\n" : "these signatures were in use already\n";
  return head + (signatures != nullptr && signatures->is_object() ? SignatureStatusText(signatures->get_object(), now)
                                                                  : std::string());
}

Result<void> AskServer(const config::Signatures& order) {
  const ControlClient client(order.config.data);
  if (order.action == Action::kStatus) {
    auto answer = AskForBody(client, "GET", "/v1/signatures");
    if (!answer) return std::unexpected(answer.error());
    return Print(*std::move(answer), order.json, SignatureStatusText);
  }
  std::string target = order.force ? "/v1/signatures/reload?force" : "/v1/signatures/reload";
  if (order.action == Action::kRollback) {
    target = "/v1/signatures/rollback";
    if (!order.reason.empty()) target += "?reason=" + wire::PercentEncode(order.reason);
  }
  auto answer = AskForBody(client, "POST", target, kPatience);
  if (!answer) return std::unexpected(answer.error());
  return Print(*std::move(answer), order.json, ChangeText);
}

// Asio wants results that can be empty.
aio::Task<std::optional<Result<clamav::SignatureCheck>>> Wrap(aio::Task<Result<clamav::SignatureCheck>> task) {
  co_return co_await std::move(task);
}

Result<clamav::SignatureCheck> TryOut(const config::Config& config, const std::filesystem::path& directory,
                                      const std::filesystem::path& scratch) {
  const auto settings = MakeSignatureSettings(config, scratch);
  asio::io_context io{1};
  aio::BlockingPool disk{1};
  const SystemClock clock;
  Log log(config.log.format, LogLevel::kError);
  Telemetry telemetry;
  aio::TaskGroup tasks(io.get_executor(), [&log](std::exception_ptr error) {
    log.Error("checking signatures failed", {{"error", WhatOf(error)}});
  });
  auto kept = asio::co_spawn(io,
                             Wrap(clamav::CheckSignatures(directory, settings.loader, settings.change.comparison, {},
                                                          {io.get_executor(), tasks, clock, log, telemetry}, disk)),
                             asio::use_future);
  io.run();
  return *kept.get();
}

// Whether the signatures can be used.
Result<bool> Check(const config::Signatures& order) {
  if (const auto cares = CheckCaresForSignatures(order.config); !cares) return std::unexpected(cares.error());
  if (const auto possible = EngineSide::Check(order.config); !possible) return std::unexpected(possible.error());
  const auto scratch = ScratchDirectory::Make();
  if (!scratch) return std::unexpected(scratch.error());
  std::signal(SIGPIPE, SIG_IGN);
  std::error_code failed;
  const std::filesystem::path directory = std::filesystem::absolute(order.directory, failed);
  if (failed) return Fail(Errc::kUnavailable, "where we are is not known: " + failed.message());
  const auto check = TryOut(order.config, directory, scratch->path());
  const auto printed = Print(SignatureCheckJson(directory, check), order.json, SignatureCheckText);
  if (!printed) return std::unexpected(printed.error());
  return check && !check->refusal;
}

}  // namespace

int RunSignatures(const config::Signatures& order) {
  if (order.action == Action::kCheck) {
    const auto usable = Check(order);
    if (usable) return *usable ? 0 : 1;
    ExplainFailure("", usable.error());
    return 1;
  }
  const auto done = AskServer(order);
  if (done) return 0;
  ExplainFailure("", done.error());
  return 1;
}

}  // namespace lazaret
