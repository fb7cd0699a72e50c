#pragma once

#include <cstddef>
#include <string>

#include "aio/task.h"
#include "clamd/channel.h"
#include "clamd/crew.h"
#include "clamd/inspector.h"
#include "clamd/path_walk.h"
#include "wire/clamd_command.h"

namespace lazaret::clamd {

// SCAN, CONTSCAN, MULTISCAN and ALLMATCHSCAN of one path: a reply for each file that is not clean, and "OK" at the end
// when every file was. The connection's executor; it outlives the tasks that it gives to the crew.
class PathScan {
 public:
  PathScan(wire::ClamdCommand command, Inspector& inspector, Channel& channel, Crew& crew);

  // False when the client is lost.
  aio::Task<bool> Run();

 private:
  bool is_parallel() const { return command_.verb == wire::ClamdVerb::kMultiScan; }
  aio::Task<> Take(PathWalk::Item item);

  const wire::ClamdCommand command_;
  const wire::ClamdAnswer answer_;
  Inspector& inspector_;
  Channel& channel_;
  Crew& crew_;
  PathWalk walk_;
  std::size_t files_ = 0;
  std::size_t found_ = 0;
  std::size_t errors_ = 0;
  bool lost_ = false;
};

}  // namespace lazaret::clamd
