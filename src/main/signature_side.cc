#include "main/signature_side.h"

#include <string>
#include <utility>

#include "main/signature_json.h"

namespace lazaret {

Result<void> CheckCaresForSignatures(const config::Config& config) {
  switch (config.EngineInUse()) {
    case config::EngineKind::kClamd:
      return Fail(Errc::kUnavailable, "engine.kind is clamd: the clamd servers look after their signatures themselves");
    case config::EngineKind::kWorkers:
      return Fail(Errc::kUnavailable,
                  "engine.kind is workers: this server has no signatures, ask a server that works on jobs");
    default: return {};
  }
}

std::string DescribeSignatures(const clamav::SignatureManager* signatures, const SignatureAgeGuard& age,
                               const Clock& clock) {
  return signatures != nullptr ? SignatureJson(signatures->Status(), age.Find(), clock.Now()) : "null";
}

metrics::SignatureFigures FiguresOf(const clamav::SignatureStatus& status) {
  metrics::SignatureFigures figures;
  if (const auto& set = status.previous) figures.previous = {set->digest.Hex(), set->label};
  if (status.candidate) figures.loading = ToString(status.candidate->phase);
  if (const auto& last = status.last_refusal) figures.refused = {std::string(ToString(last->why.kind)), last->at};
  return figures;
}

http::SignatureEndpoint::Parts SignaturesForOperator(const config::Config& config, clamav::SignatureManager* signatures,
                                                     const SignatureAgeGuard& age, const Clock& clock) {
  using Changed = http::SignatureEndpoint::Changed;
  if (signatures == nullptr) {
    return {.missing = CheckCaresForSignatures(config).error().what, .describe = {}, .reload = {}, .rollback = {}};
  }
  static constexpr auto changed = [](Result<clamav::SignatureManager::Change> change) -> Changed {
    if (!change) return std::unexpected(std::move(change.error()));
    return change->changed;
  };
  return {.missing = {},
          .describe = [signatures, &age, &clock] { return DescribeSignatures(signatures, age, clock); },
          .reload = [signatures](bool force) -> aio::Task<Changed> {
            co_return changed(co_await signatures->Reload(force));
          },
          .rollback = [signatures](std::string reason) -> aio::Task<Changed> {
            co_return changed(co_await signatures->Rollback(std::move(reason)));
          }};
}

}  // namespace lazaret
