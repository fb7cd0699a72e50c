#include "clamd/path_scan.h"

#include <utility>
#include <variant>

namespace lazaret::clamd {

PathScan::PathScan(wire::ClamdCommand command, Inspector& inspector, Channel& channel, Crew& crew)
    : command_(std::move(command)),
      answer_(command_),
      inspector_(inspector),
      channel_(channel),
      crew_(crew),
      walk_(inspector.settings().paths, command_.argument) {}

aio::Task<bool> PathScan::Run() {
  const bool stops_at_first =
      command_.verb == wire::ClamdVerb::kScan || command_.verb == wire::ClamdVerb::kAllMatchScan;
  while (!lost_ && !(stops_at_first && found_ > 0)) {
    auto item = co_await inspector_.files().Run([this] { return walk_.Next(); });
    if (!item) break;
    if (is_parallel() && walk_.is_directory()) {
      co_await crew_.Add(Take(*std::move(item)));
    } else {
      co_await Take(*std::move(item));
    }
  }
  if (is_parallel()) co_await crew_.Wait();
  if (lost_) co_return false;
  if (found_ > 0 || errors_ > 0) co_return true;
  // clamd says nothing of an empty directory there.
  if (files_ == 0 && is_parallel()) co_return true;
  co_return co_await channel_.Write(answer_.Ok(walk_.path()));
}

aio::Task<> PathScan::Take(PathWalk::Item item) {
  ++files_;
  ++errors_;  // until it has been judged: what throws here must not end in an OK for the directory
  Finding finding = Finding::Failed("");
  if (auto* failure = std::get_if<Finding>(&item.file)) {
    finding = std::move(*failure);
  } else {
    finding = co_await inspector_.InspectFile(std::get<UniqueFd>(item.file).Get());
  }
  if (finding.kind() != Finding::Kind::kError) --errors_;
  if (finding.kind() == Finding::Kind::kClean) co_return;
  if (finding.kind() == Finding::Kind::kFound) ++found_;
  const bool all_matches = command_.verb == wire::ClamdVerb::kAllMatchScan;
  if (!co_await channel_.Write(finding.Reply(answer_, item.path, all_matches))) lost_ = true;
}

}  // namespace lazaret::clamd
