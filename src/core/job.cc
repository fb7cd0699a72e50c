#include "core/job.h"

#include <stdexcept>

namespace lazaret {

std::string_view ToString(JobState state) {
  switch (state) {
    case JobState::kQueued: return "queued";
    case JobState::kLeased: return "scanning";
    case JobState::kDone: return "done";
    case JobState::kDead: return "dead";
  }
  throw std::logic_error("job of no state");
}

}  // namespace lazaret
