#include "clamav/clamd_endpoints.h"

#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace lazaret::clamav {
namespace asio = boost::asio;

namespace {

template <class Protocol>
typename Protocol::endpoint As(const ClamdEndpoint& endpoint) {
  typename Protocol::endpoint out;
  out.resize(endpoint.size());
  std::memcpy(out.data(), endpoint.data(), endpoint.size());
  return out;
}

}  // namespace

aio::Task<Result<std::vector<ClamdEndpoint>>> FindClamd(ClamdAddress address, aio::Resolver& resolver,
                                                        SteadyTime deadline) {
  if (address.is_unix()) co_return std::vector<ClamdEndpoint>{asio::local::stream_protocol::endpoint(address.path)};
  boost::system::error_code not_numeric;
  const auto numeric = asio::ip::make_address(address.host, not_numeric);
  if (!not_numeric) co_return std::vector<ClamdEndpoint>{asio::ip::tcp::endpoint(numeric, address.port)};
  const auto found = co_await resolver.Resolve(address.host, deadline);
  if (!found) co_return std::unexpected(found.error());
  std::vector<ClamdEndpoint> endpoints;
  for (const auto& one : *found) {
    if (endpoints.size() < kMostClamdEndpoints) endpoints.emplace_back(asio::ip::tcp::endpoint(one, address.port));
  }
  co_return endpoints;
}

std::string TextOf(const ClamdEndpoint& endpoint) {
  if (endpoint.protocol().family() == AF_UNIX) return As<asio::local::stream_protocol>(endpoint).path();
  const auto tcp = As<asio::ip::tcp>(endpoint);
  const std::string address = tcp.address().to_string();
  return tcp.address().is_v6() ? fmt::format("[{}]:{}", address, tcp.port())
                               : fmt::format("{}:{}", address, tcp.port());
}

}  // namespace lazaret::clamav
