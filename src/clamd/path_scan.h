#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "aio/task.h"
#include "clamd/channel.h"
#include "clamd/crew.h"
#include "clamd/file_pool.h"
#include "clamd/inspector.h"
#include "clamd/path_walk.h"
#include "wire/clamd_command.h"

namespace lazaret::clamd {

// SCAN, CONTSCAN, MULTISCAN and ALLMATCHSCAN of one path: a reply for each file that is not clean, and "OK" at the end
// when every file was. The connection's executor; it outlives the tasks that it gives to the crew.
class PathScan {
 public:
  PathScan(wire::ClamdCommand command, Inspector& inspector, FileShare files, Channel& channel, Crew& crew);

  // False when the client is lost.
  aio::Task<bool> Run();

 private:
  struct Step {
    std::shared_ptr<PathWalk::Item> item;  // null when there is none, at the end or before the first of a directory
    bool is_directory = false;             // what is walked through
    bool is_last = false;
  };

  bool is_parallel() const { return command_.verb == wire::ClamdVerb::kMultiScan; }
  aio::Task<> Walk();
  aio::Task<Step> Go(std::shared_ptr<PathWalk> walk);
  Step Failed(const Error& error);
  aio::Task<> Take(std::shared_ptr<PathWalk::Item> item);

  const wire::ClamdCommand command_;
  const wire::ClamdAnswer answer_;
  Inspector& inspector_;
  FileShare files_;
  Channel& channel_;
  Crew& crew_;
  std::string path_;  // as clamd repeats it
  std::size_t taken_ = 0;
  std::size_t clean_ = 0;
  std::size_t found_ = 0;
  std::size_t errors_ = 0;
  bool lost_ = false;
};

}  // namespace lazaret::clamd
