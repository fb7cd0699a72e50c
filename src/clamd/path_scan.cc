#include "clamd/path_scan.h"

#include <optional>
#include <utility>
#include <variant>

#include "aio/caught.h"

namespace lazaret::clamd {

PathScan::PathScan(wire::ClamdCommand command, Inspector& inspector, FileShare files, Channel& channel, Crew& crew)
    : command_(std::move(command)),
      answer_(command_),
      inspector_(inspector),
      files_(std::move(files)),
      channel_(channel),
      crew_(crew) {}

aio::Task<bool> PathScan::Run() {
  co_await Walk();
  if (is_parallel()) co_await crew_.Wait();
  if (lost_) co_return false;
  // One whose task ended by an exception must not end in silence, nor in an OK for the directory.
  if (clean_ + found_ + errors_ < taken_) {
    co_return co_await channel_.Write(Finding::Of(Error{Errc::kInternal, ""}).Reply(answer_, path_));
  }
  if (found_ > 0 || errors_ > 0) co_return true;
  // clamd says nothing of an empty directory there.
  if (taken_ == 0 && is_parallel()) co_return true;
  co_return co_await channel_.Write(answer_.Ok(path_));
}

aio::Task<> PathScan::Walk() {
  const bool stops_at_first =
      command_.verb == wire::ClamdVerb::kScan || command_.verb == wire::ClamdVerb::kAllMatchScan;
  const auto walk = files_.Keep(PathWalk(inspector_.settings().paths, command_.argument));
  path_ = walk->path();
  Step step = co_await Go(walk);
  std::optional<aio::Gate::Seat> seat;
  if (step.is_directory && !step.is_last) {
    if (auto entered = co_await inspector_.walks().Enter(inspector_.Deadline())) {
      seat.emplace(*std::move(entered));
      step = co_await Go(walk);
    } else {
      step = Failed({Errc::kOverloaded, "too many directories are being scanned"});
    }
  }
  while (step.item != nullptr) {
    if (is_parallel() && step.is_directory) {
      co_await crew_.Add(Take(std::move(step.item)));
    } else {
      co_await Take(std::move(step.item));
    }
    if (step.is_last || lost_ || (stops_at_first && found_ > 0)) co_return;
    step = co_await Go(walk);
  }
}

aio::Task<PathScan::Step> PathScan::Go(std::shared_ptr<PathWalk> walk) {
  auto step = co_await aio::Caught(files_.Run(inspector_.Deadline(), [walk, files = files_]() mutable {
    auto item = walk->is_begun() ? walk->Next() : walk->Begin();
    Step next{.item = nullptr, .is_directory = walk->is_directory(), .is_last = !walk->is_directory()};
    if (item) next.item = files.Keep(*std::move(item));
    return next;
  }));
  if (!step) {
    inspector_.Report(step.error());
    co_return Failed(step.error());
  }
  // The walk is still in use on the thread that hangs: nobody asks it again.
  if (!*step) co_return Failed((*step).error());
  co_return **std::move(step);
}

PathScan::Step PathScan::Failed(const Error& error) {
  return {.item = files_.Keep(PathWalk::Item{path_, Finding::Of(error)}), .is_directory = false, .is_last = true};
}

aio::Task<> PathScan::Take(std::shared_ptr<PathWalk::Item> item) {
  ++taken_;
  Finding finding = Finding::Failed("");
  if (auto* failure = std::get_if<Finding>(&item->file)) {
    finding = std::move(*failure);
  } else {
    finding = co_await inspector_.InspectFile(KeptFd(item, &std::get<UniqueFd>(item->file)), files_);
  }
  if (finding.kind() != Finding::Kind::kClean) {
    const bool all_matches = command_.verb == wire::ClamdVerb::kAllMatchScan;
    if (!co_await channel_.Write(finding.Reply(answer_, item->path, all_matches))) lost_ = true;
  }
  switch (finding.kind()) {
    case Finding::Kind::kClean: ++clean_; break;
    case Finding::Kind::kFound: ++found_; break;
    case Finding::Kind::kError: ++errors_; break;
  }
}

}  // namespace lazaret::clamd
