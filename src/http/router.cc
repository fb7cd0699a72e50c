#include "http/router.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "aio/caught.h"
#include "http/problem.h"

namespace lazaret::http {
namespace {

// What the variable piece of `pattern` stands for in `path`, "" when it has none; empty when the path does not fit.
std::optional<std::string_view> Match(std::string_view pattern, std::string_view path) {
  const auto open = pattern.find('{');
  if (open == std::string_view::npos) return path == pattern ? std::optional(std::string_view()) : std::nullopt;
  const std::string_view before = pattern.substr(0, open);
  const std::string_view after = pattern.substr(pattern.find('}', open) + 1);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after)) {
    return std::nullopt;
  }
  const std::string_view variable = path.substr(before.size(), path.size() - before.size() - after.size());
  return variable.find('/') == std::string_view::npos ? std::optional(variable) : std::nullopt;
}

std::string Joined(std::string all, std::string_view more) {
  if (!all.empty()) all += ", ";
  return all += more;
}

}  // namespace

Router::Router(std::vector<Route> routes, std::string unknown_path, const Clock& clock, Log& log, Telemetry& telemetry)
    : routes_(std::move(routes)),
      unknown_path_(std::move(unknown_path)),
      clock_(clock),
      log_(log),
      telemetry_(telemetry) {}

Router::Place Router::PlaceOf(const wire::RequestHead& head) const {
  const std::string_view method = head.method == "HEAD" ? "GET" : head.method;
  Place place{};
  for (const Route& route : routes_) {
    if (place.pattern.empty()) {
      const auto variable = Match(route.pattern, head.path);
      if (!variable) continue;
      place = {route.pattern, *variable, nullptr};
    }
    if (route.pattern != place.pattern || route.method != method) continue;
    place.route = &route;
    break;
  }
  return place;
}

aio::Task<Response> Router::Handle(Exchange& exchange) {
  exchange.started = clock_.SteadyNow();
  const Place place = PlaceOf(exchange.head);
  Response response;
  if (place.pattern.empty()) {
    response = Problem(404, "unknown-path", unknown_path_);
  } else if (exchange.head.expectation == wire::Expectation::kUnsupported) {
    response = Problem(417, "expectation", "only Expect: 100-continue is understood");
  } else if (place.route == nullptr) {
    response = WrongMethod(place.pattern);
  } else {
    exchange.variable = place.variable;
    auto answered = co_await aio::Caught(place.route->answer(exchange));
    response = answered ? *std::move(answered) : Broken(*place.route, answered.error());
  }
  telemetry_.OnRequest(place.pattern.empty() ? kUnknownRoute : place.pattern, response.status,
                       clock_.SteadyNow() - exchange.started);
  co_return response;
}

std::optional<Response> Router::HandleNow(Exchange& exchange) {
  const Place place = PlaceOf(exchange.head);
  if (place.route == nullptr || !place.route->answer_now) return std::nullopt;
  if (exchange.head.expectation == wire::Expectation::kUnsupported) return std::nullopt;
  exchange.started = clock_.SteadyNow();
  exchange.variable = place.variable;
  std::optional<Response> response;
  try {
    response = place.route->answer_now(exchange);
  } catch (const std::exception& error) {
    response = Broken(*place.route, {Errc::kInternal, error.what()});
  }
  if (response) telemetry_.OnRequest(place.pattern, response->status, clock_.SteadyNow() - exchange.started);
  return response;
}

Response Router::WrongMethod(std::string_view pattern) const {
  std::string taken;
  std::string allowed;
  for (const Route& route : routes_) {
    if (route.pattern != pattern) continue;
    taken = Joined(std::move(taken), route.method);
    allowed = Joined(std::move(allowed), route.method == "GET" ? "GET, HEAD" : route.method);
  }
  Response response = Problem(405, "wrong-method", fmt::format("{} takes {}", pattern, taken));
  response.headers.emplace_back("Allow", std::move(allowed));
  return response;
}

// A handler that throws has met a broken assumption: the client learns that much, and the log the rest.
Response Router::Broken(const Route& route, const Error& error) {
  log_.Error("request failed", {{"route", route.pattern}, {"error", error.what}});
  Response response = Problem(500, "internal", "the server met an error of its own; its log says more");
  response.close = true;
  return response;
}

Response Router::OnBadHead(const Error& error) {
  Response response = error.code == Errc::kTimeout    ? Problem(408, "slow-head", error.what)
                      : error.code == Errc::kTooLarge ? Problem(431, "head-too-large", error.what)
                                                      : Problem(400, "bad-head", error.what);
  response.close = true;
  telemetry_.OnRequest(kBadHeadRoute, response.status, seconds(0));
  return response;
}

}  // namespace lazaret::http
