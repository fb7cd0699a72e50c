#pragma once

#include "clamav/signature_manager.h"
#include "config/config.h"
#include "http/signature_endpoint.h"

namespace lazaret {

// kUnavailable with the reason when servers with these settings have no signatures to care for.
Result<void> CheckCaresForSignatures(const config::Config& config);

// What the operator can do about the signatures of a server; `signatures`, which is null when there are none to care
// for, outlives it.
http::SignatureEndpoint::Parts SignaturesForOperator(const config::Config& config,
                                                     clamav::SignatureManager* signatures);

}  // namespace lazaret
