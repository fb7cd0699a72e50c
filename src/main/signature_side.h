#pragma once

#include <string>

#include "clamav/signature_manager.h"
#include "config/config.h"
#include "http/signature_endpoint.h"
#include "main/signature_age_guard.h"
#include "metrics/signature_gauges.h"

namespace lazaret {

// kUnavailable with the reason when servers with these settings have no signatures to care for.
Result<void> CheckCaresForSignatures(const config::Config& config);

// Where the signatures stand, as JSON; null when there are none to care for. Any thread.
std::string DescribeSignatures(const clamav::SignatureManager* signatures, const SignatureAgeGuard& age,
                               const Clock& clock);

metrics::SignatureFigures FiguresOf(const clamav::SignatureStatus& status);

// What the operator can do about the signatures of a server; `signatures`, which is null when there are none to care
// for, outlives it, and so do the others.
http::SignatureEndpoint::Parts SignaturesForOperator(const config::Config& config, clamav::SignatureManager* signatures,
                                                     const SignatureAgeGuard& age, const Clock& clock);

}  // namespace lazaret
