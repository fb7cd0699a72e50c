#pragma once

#include "config/config.h"

namespace lazaret {

// `lazaret serve`: runs until SIGTERM or SIGINT. The exit status of the process.
int RunServer(const config::Config& config);

}  // namespace lazaret
