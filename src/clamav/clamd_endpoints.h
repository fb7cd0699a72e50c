#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include "aio/resolver.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "clamav/clamd_address.h"

namespace lazaret::clamav {

using ClamdEndpoint = boost::asio::generic::stream_protocol::endpoint;

// Of what a name leads to, so many are tried.
inline constexpr std::size_t kMostClamdEndpoints = 8;

// Where `address` leads now, in the order in which it is to be tried; never empty. Several are as many servers of one
// name, any of which may be another clamd. Errors as of Resolver::Resolve.
aio::Task<Result<std::vector<ClamdEndpoint>>> FindClamd(ClamdAddress address, aio::Resolver& resolver,
                                                        SteadyTime deadline);

// For people: "10.0.0.7:3310", "[::1]:3310", "/run/clamd.sock".
std::string TextOf(const ClamdEndpoint& endpoint);

}  // namespace lazaret::clamav
