#pragma once

#include <cstddef>
#include <string>

#include "aio/task.h"
#include "base/clock.h"
#include "core/content.h"
#include "core/verdict.h"

namespace lazaret {

// Turns content into a verdict.
class Engine {
 public:
  virtual ~Engine() = default;

  // What scans are made with now; null while the engine cannot scan. Any thread.
  virtual EngineInfoPtr Current() const = 0;
  // Whether Current() is this very one: asked for every known content. Any thread.
  virtual bool IsCurrent(const EngineInfo& info) const { return Current().get() == &info; }
  // Why Current() is null, in one sentence for an operator. Any thread.
  virtual std::string NotReadyReason() const = 0;
  // How many scans can run at once; at least 1.
  virtual std::size_t Slots() const = 0;
  // Whether a scan that is cancelled costs nothing more from then on, so that another one can have its slot. Any
  // thread.
  virtual bool EndsCancelledScans() const = 0;
  // Whether scans wait inside the engine, so that their time says nothing of them. The engine's executor only.
  virtual bool IsPaused() const { return false; }

  // Scans `content`. The engine's executor only. A content that cannot be judged is an
  // `unscannable` verdict, also after its scan passed `deadline` or crashed the engine; an Error says that nothing
  // was found out about it: kUnavailable when no engine is ready, kCancelled when the caller was cancelled.
  virtual aio::Task<Result<Verdict>> Scan(ContentPtr content, SteadyTime deadline) = 0;
};

}  // namespace lazaret
