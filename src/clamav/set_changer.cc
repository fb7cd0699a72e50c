#include "clamav/set_changer.h"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aio/deadline.h"
#include "clamav/engine_identity.h"
#include "clamav/memory_room.h"
#include "clamav/signature_files.h"

namespace lazaret::clamav {
namespace {

constexpr int kAttempts = 5;  // to read files that are being changed
constexpr milliseconds kLossCheck{200};
constexpr double kMostGrowth = 2;      // of a set from one to the next, for the estimate of its memory
constexpr std::uint64_t kPerByte = 4;  // memory for a byte of signatures, when nothing better is known

std::uint64_t MiB(std::uint64_t bytes) { return bytes >> 20; }

SetSummary Summarize(const LoadedSet& set, WallTime now) {
  return {.digest = set.snapshot.digest,
          .label = set.engine->signature_label,
          .signatures = set.engine->signatures,
          .built_at = set.engine->built_at,
          .loaded_at = now,
          .files_at = set.engine->files_at,
          .databases = set.engine->databases};
}

RefusalKind KindOfSnapshotFailure(Errc code) {
  switch (code) {
    case Errc::kNotFound: return RefusalKind::kEmpty;
    case Errc::kCorrupt: return RefusalKind::kChanging;
    case Errc::kOverloaded: return RefusalKind::kNoDisk;
    default: return RefusalKind::kUnreadable;
  }
}

}  // namespace

// The candidate in the status, as long as it lives.
struct SetChanger::Change {
  explicit Change(SetChanger& changer) : status(changer.status_) {
    const WallTime now = changer.clock_.Now();
    status.Update([&](SignatureStatus& s) {
      s.candidate = CandidateStatus{{}, LoadPhase::kSnapshot, now, now, changer.last_load_};
    });
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  ~Change() {
    status.Update([](SignatureStatus& s) { s.candidate.reset(); });
  }
  StatusBoard& status;
};

SetChanger::SetChanger(ChangeSettings settings, SignatureStore store, SignatureLoader& loader, ScannerPool& pool,
                       StatusBoard& status, aio::BlockingPool& disk, const Clock& clock, Log& log)
    : settings_(std::move(settings)),
      store_(std::move(store)),
      loader_(loader),
      pool_(pool),
      status_(status),
      disk_(disk),
      clock_(clock),
      log_(log) {
  ShowStore();
}

void SetChanger::SetPhase(LoadPhase phase) {
  status_.Update([&](SignatureStatus& s) {
    if (!s.candidate) return;
    s.candidate->phase = phase;
    s.candidate->phase_since = clock_.Now();
  });
}

void SetChanger::ShowStore() {
  status_.Update([&](SignatureStatus& s) {
    s.previous.reset();
    if (store_.previous()) s.previous = store_.previous()->summary;
    s.pin = store_.pin();
  });
}

aio::Task<SetChanger::Outcome> SetChanger::LoadSource(SnapshotBy by, bool strict, AskForTurn ask) {
  const Change change(*this);
  tried_.reset();
  gives_up_waiting_ = false;
  std::unique_ptr<LoadTurn> turn;
  if (ask && pool_.IsServing()) {
    const auto digest = co_await disk_.Run([&] { return store_.DigestOfSource(); });
    if (!digest) co_return std::unexpected(Refusal{RefusalKind::kUnreadable, digest.error().what});
    tried_ = *digest;
    // What is in use already needs no turn.
    if (store_.current() && store_.current()->snapshot.digest == *digest) co_return false;
    auto leave = co_await WaitForTurn(std::move(ask), *digest);
    if (!leave) co_return std::unexpected(std::move(leave.error()));
    turn = *std::move(leave);
  }
  for (int attempt = 1;; ++attempt) {
    // A link shows what is written into a file later, a copy does not.
    auto outcome = co_await LoadOnce(attempt == 1 ? by : SnapshotBy::kCopies, strict);
    if (outcome || outcome.error().kind != RefusalKind::kChanging || attempt == kAttempts) co_return outcome;
    log_.Info("signatures were changed while they were read, reading them again", {{"attempt", attempt}});
    co_await aio::SleepUntil(clock_.SteadyNow() + settings_.settle);
  }
}

aio::Task<std::expected<std::unique_ptr<LoadTurn>, Refusal>> SetChanger::WaitForTurn(AskForTurn ask, Digest candidate) {
  SetPhase(LoadPhase::kWaitingForTurn);
  auto on_wait = [this](const std::string& node) {
    status_.Update([&](SignatureStatus& s) {
      if (s.candidate) s.candidate->waits_for = node;
    });
    log_.Info("waiting for the turn to load signatures", {{"node", node}});
  };
  auto leave = co_await Unless([this] { return IsLost() || gives_up_waiting_; }, ask(candidate, std::move(on_wait)));
  status_.Update([](SignatureStatus& s) {
    if (s.candidate) s.candidate->waits_for.clear();
  });
  if (leave && *leave) co_return **std::move(leave);
  std::string why = leave               ? leave->error().what
                    : gives_up_waiting_ ? "something else was to be done first"
                                        : "the signatures in use were lost meanwhile";
  co_return std::unexpected(Refusal{RefusalKind::kNoTurn, std::move(why)});
}

aio::Task<SetChanger::Outcome> SetChanger::LoadOnce(SnapshotBy by, bool strict) {
  SetPhase(LoadPhase::kSnapshot);
  const auto before = co_await disk_.Run([&] { return MarkFiles(store_.source()); });
  const auto snapshot = co_await disk_.Run([&] { return store_.Take(by); });
  if (!snapshot) {
    co_return std::unexpected(Refusal{KindOfSnapshotFailure(snapshot.error().code), snapshot.error().what});
  }
  tried_ = snapshot->digest;
  if (pool_.IsServing() && store_.current() && store_.current()->snapshot.digest == snapshot->digest) co_return false;
  status_.Update([&](SignatureStatus& s) { s.candidate->digest = snapshot->digest; });
  const auto loaded = co_await Bring(*snapshot, strict);
  if (loaded) {
    co_await Remember(*loaded);
    co_return true;
  }
  co_await disk_.Run([&] {
    store_.Drop(*snapshot);
    return true;
  });
  // What is wrong with half of a change is no news of the whole.
  const auto after = co_await disk_.Run([&] { return MarkFiles(store_.source()); });
  if (before && after && !SameContent(*before, *after)) {
    co_return std::unexpected(
        Refusal{RefusalKind::kChanging, fmt::format("the files in {} were changed while they were loaded, and: {}",
                                                    store_.source().native(), loaded.error().reason)});
  }
  co_return std::unexpected(loaded.error());
}

aio::Task<SetChanger::Outcome> SetChanger::GoBack(std::string reason, AskForTurn ask) {
  const Change change(*this);
  gives_up_waiting_ = false;
  const KeptSet from = *store_.current();
  const SignatureSnapshot to = store_.previous()->snapshot;
  status_.Update([&](SignatureStatus& s) { s.candidate->digest = to.digest; });
  const auto loaded = co_await Bring(to, false, std::move(ask), from.snapshot.digest);
  if (!loaded) co_return std::unexpected(loaded.error());
  SignaturePin pin{from.snapshot.digest, from.summary.label, std::move(reason), clock_.Now()};
  const auto written = co_await disk_.Run([&] { return store_.GoBack(pin, Summarize(*loaded, clock_.Now())); });
  if (!written) log_.Error("rollback would not survive a restart", {{"error", written.error().what}});
  ShowStore();
  co_return true;
}

aio::Task<SetChanger::Outcome> SetChanger::LoadKept() {
  const Change change(*this);
  Outcome outcome = std::unexpected(Refusal{RefusalKind::kEmpty, "no earlier signatures are kept"});
  for (const std::optional<KeptSet>* const kept : {&store_.current(), &store_.previous()}) {
    if (!*kept) continue;
    // The pin belongs to the set that was gone back to, which is the current one.
    const bool is_pinned = kept == &store_.current() && store_.pin();
    const auto loaded =
        co_await Bring((*kept)->snapshot, false, {}, is_pinned ? std::optional(store_.pin()->refused) : std::nullopt);
    if (loaded) {
      co_await Remember(*loaded);
      co_return true;
    }
    outcome = std::unexpected(loaded.error());
    log_.Error("kept signatures cannot be used", {{"set", (*kept)->summary.label}, {"error", loaded.error().reason}});
  }
  co_return outcome;
}

aio::Task<> SetChanger::LiftPin() {
  const auto written = co_await disk_.Run([&] { return store_.LiftPin(); });
  if (!written) log_.Warning("state of the signatures cannot be written", {{"error", written.error().what}});
  ShowStore();
}

aio::Task<std::expected<SetChanger::How, Refusal>> SetChanger::ChooseHow(const SignatureSnapshot& snapshot) {
  if (!pool_.IsServing()) co_return How::kStart;
  const int zygote = pool_.zygote_pid();
  const auto room = co_await disk_.Run([&] { return ReadMemoryRoom(settings_.memory_root); });
  const auto used = co_await disk_.Run([&] { return ReadProcessMemory(zygote); });
  double growth = 1;
  if (store_.current() && store_.current()->snapshot.bytes > 0) {
    growth = static_cast<double>(snapshot.bytes) / static_cast<double>(store_.current()->snapshot.bytes);
  }
  const std::uint64_t needed =
      used ? static_cast<std::uint64_t>(static_cast<double>(used->peak) * std::clamp(growth, 1.0, kMostGrowth))
           : kPerByte * snapshot.bytes;
  // Without a figure nothing speaks against it.
  const std::uint64_t available = room ? room->bytes : UINT64_MAX;
  const bool fits_beside = available >= needed && available - needed >= settings_.memory_reserve;
  const std::string memory =
      fmt::format("{} MiB needed and {} MiB to be left, {} MiB available ({})", MiB(needed),
                  MiB(settings_.memory_reserve), MiB(available), room ? room->bound_by : "unknown");
  if (settings_.mode != ReloadMode::kDrain && fits_beside) {
    log_.Info("loading signatures beside those in use", {{"memory", memory}});
    co_return How::kBeside;
  }
  if (settings_.mode == ReloadMode::kBeside) {
    co_return std::unexpected(
        Refusal{RefusalKind::kNoMemory, "no memory for two sets at once (signatures.reload is beside): " + memory});
  }
  const std::uint64_t freed = used ? used->resident : 0;
  if (available < needed && needed - available > freed) {
    co_return std::unexpected(
        Refusal{RefusalKind::kNoMemory,
                fmt::format("no memory even without the set in use, which has {} MiB: {}", MiB(freed), memory)});
  }
  // The way back if the others are no good.
  const auto intact = co_await disk_.Run([&] { return CheckUnchanged(store_.current()->snapshot); });
  if (!intact) {
    co_return std::unexpected(Refusal{
        RefusalKind::kNoMemory, fmt::format("no memory for two sets at once, and the one in use could not be loaded "
                                            "again, so that it is not ended ({}); a restart loads what is there: {}",
                                            intact.error().what, memory)});
  }
  log_.Warning("ending the signatures in use before loading others: scans wait",
               {{"why", fits_beside ? "signatures.reload is drain" : "memory is short"}, {"memory", memory}});
  co_return How::kDrain;
}

// Empty when it was over before `task` had ended: the manager must have its hands free, such as to replace a set in use
// that was lost.
template <class T>
aio::Task<std::optional<T>> SetChanger::Unless(std::function<bool()> is_over, aio::Task<T> task) {
  using namespace boost::asio::experimental::awaitable_operators;
  struct State {
    std::optional<T> result;
    std::exception_ptr error;
  };
  const auto state = std::make_shared<State>();
  static constexpr auto run = [](std::shared_ptr<State> into, aio::Task<T> work) -> aio::Task<> {
    try {
      into->result.emplace(co_await std::move(work));
    } catch (...) {
      into->error = std::current_exception();  // operator|| would wait for the other one
    }
  };
  static constexpr auto until = [](const Clock& clock, std::function<bool()> over) -> aio::Task<> {
    while (!over()) co_await aio::SleepUntil(clock.SteadyNow() + kLossCheck);
  };
  co_await (run(state, std::move(task)) || until(clock_, is_over));
  if (state->error && !is_over()) std::rethrow_exception(state->error);
  co_return std::move(state->result);
}

// Scans wait as long as a set is missing; whatever becomes of the candidate, there is one in use afterwards if there
// was one before.
aio::Task<std::expected<LoadedSet, Refusal>> SetChanger::Bring(SignatureSnapshot snapshot, bool strict, AskForTurn ask,
                                                               std::optional<Digest> left) {
  const auto chosen = co_await ChooseHow(snapshot);
  if (!chosen) co_return std::unexpected(chosen.error());
  std::unique_ptr<LoadTurn> turn;
  if (*chosen == How::kDrain && ask) {
    auto leave = co_await WaitForTurn(std::move(ask), snapshot.digest);
    if (!leave) co_return std::unexpected(std::move(leave.error()));
    turn = *std::move(leave);
  }
  if (*chosen == How::kDrain) {
    SetPhase(LoadPhase::kDraining);
    co_await pool_.Suspend();
  }
  const auto priority = *chosen == How::kBeside ? LoadPriority::kLow : LoadPriority::kNormal;
  auto load = loader_.Load(snapshot, priority, [this](LoadPhase phase) { SetPhase(phase); });
  auto ended = *chosen == How::kBeside ? co_await Unless([this] { return IsLost(); }, std::move(load))
                                       : std::optional(co_await std::move(load));
  if (!ended) {
    co_return std::unexpected(Refusal{RefusalKind::kEngineFailed, "the signatures in use were lost meanwhile"});
  }
  auto& loaded = *ended;
  if (loaded && strict) {
    if (auto fault = FindFault(*loaded, MeasureOfCurrent(), settings_.comparison)) {
      co_await loaded->generation->End();
      loaded = std::unexpected(*std::move(fault));
    }
  }
  if (loaded) {
    if (left) loaded->engine = std::make_shared<const EngineInfo>(GoneBackFrom(*left, *loaded->engine));
    Adopt(*loaded, *chosen);
  } else if (*chosen == How::kDrain) {
    log_.Warning("going back to the signatures that were in use", {{"reason", loaded.error().reason}});
    auto restored = co_await loader_.Load(store_.current()->snapshot, LoadPriority::kNormal,
                                          [this](LoadPhase phase) { SetPhase(phase); });
    if (restored) {
      if (const auto& pin = store_.pin()) {
        restored->engine = std::make_shared<const EngineInfo>(GoneBackFrom(pin->refused, *restored->engine));
      }
      Adopt(*restored, How::kDrain);
    } else {
      pool_.SetNotReady(restored.error().reason);
    }
  }
  co_return std::move(loaded);
}

// After a restart it is not known what the set found, but how large it was.
std::optional<SetMeasure> SetChanger::MeasureOfCurrent() const {
  if (measure_ || !store_.current()) return measure_;
  return SetMeasure{.signatures = store_.current()->summary.signatures, .finds_eicar = false, .has_load_errors = true};
}

void SetChanger::Adopt(const LoadedSet& set, How how) {
  pool_.MoveTo(set.generation, set.engine);
  measure_ = Measure(set);
  last_load_ = milliseconds(set.load_ms);
  const char* const mode = how == How::kStart ? "start" : how == How::kBeside ? "beside" : "drain";
  status_.Update([&](SignatureStatus& s) {
    s.engine = set.engine;
    s.current = Summarize(set, clock_.Now());
    s.load_errors = set.load_errors;
    s.last_mode = mode;
  });
  log_.Info("engine ready", {{"engine", fmt::format("{} {}", set.engine->name, set.engine->version)},
                             {"signatures", set.engine->signatures},
                             {"set", set.engine->signature_label},
                             {"load_ms", set.load_ms},
                             {"mode", mode},
                             {"eicar", set.probe.finds_eicar},
                             {"sandbox", fmt::format("{}", fmt::join(set.engine->isolation, ","))},
                             {"zygote", set.generation->zygote_pid()}});
  for (const std::string& text : set.load_errors) log_.Warning("engine warning", {{"text", text}});
  for (const std::string& text : set.load_warnings) log_.Warning("engine warning", {{"text", text}});
  for (const std::string& text : set.probe.warnings) log_.Warning("probe file cannot be used", {{"error", text}});
  if (set.engine->test_set) {
    log_.Warning("TEST SIGNATURES ONLY: nothing but the EICAR test file is detected; do not use this for real files");
  }
}

aio::Task<> SetChanger::Remember(const LoadedSet& set) {
  const KeptSet kept{set.snapshot, Summarize(set, clock_.Now())};
  const auto written = co_await disk_.Run([&] { return store_.Use(kept); });
  if (!written) log_.Warning("state of the signatures cannot be written", {{"error", written.error().what}});
  ShowStore();
}

}  // namespace lazaret::clamav
