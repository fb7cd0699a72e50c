#pragma once

#include <string>

#include "base/unique_fd.h"

namespace lazaret::scanner {

// How readily the kernel kills this process when memory runs out (proc(5), oom_score_adj).
class OomScore {
 public:
  // While it lives, and for children that are forked meanwhile, the process is a preferred victim.
  class Raised {
   public:
    explicit Raised(const OomScore& score) : score_(score) { score_.Write("500"); }
    ~Raised() { score_.Write(score_.usual_); }
    Raised(const Raised&) = delete;
    Raised& operator=(const Raised&) = delete;

   private:
    const OomScore& score_;
  };

  OomScore() = default;
  // Must be had while the process is dumpable, which it is no more once it has become another user (prctl(2)):
  // afterwards the file is root's. Without it Raise does nothing.
  static OomScore OfThisProcess();
  Raised Raise() const { return Raised(*this); }

 private:
  void Write(const std::string& value) const;

  UniqueFd file_;
  std::string usual_;
};

}  // namespace lazaret::scanner
