#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aio/task.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"

namespace lazaret::http {

// One call of an interface. A GET answers HEAD, too. `pattern` may hold one variable piece, "/v1/scans/{id}", which
// stands for anything but "/" and nothing; Exchange::variable is what it stood for. Texts have static storage.
struct Route {
  std::string_view method;
  std::string_view pattern;
  std::function<aio::Task<Response>(Exchange&)> answer;
  std::function<std::optional<Response>(Exchange&)> answer_now = {};  // as Handler::HandleNow; there may be none
};

// A row of the table of a class that answers calls with its own methods.
template <class Owner>
struct Call {
  std::string_view method;
  std::string_view pattern;
  aio::Task<Response> (Owner::*answer)(Exchange&);
  std::optional<Response> (Owner::*answer_now)(Exchange&) = nullptr;
};

template <class Owner>
std::vector<Route> BindRoutes(Owner& owner, std::span<const Call<Owner>> calls) {
  std::vector<Route> routes;
  for (const Call<Owner>& call : calls) {
    Route& route = routes.emplace_back(call.method, call.pattern, std::bind_front(call.answer, std::ref(owner)));
    if (call.answer_now != nullptr) route.answer_now = std::bind_front(call.answer_now, std::ref(owner));
  }
  return routes;
}

// Each pattern of the table once.
template <class Owner>
std::vector<std::string_view> PatternsOf(std::span<const Call<Owner>> calls) {
  std::vector<std::string_view> patterns;
  for (const Call<Owner>& call : calls) {
    if (std::ranges::find(patterns, call.pattern) == patterns.end()) patterns.push_back(call.pattern);
  }
  return patterns;
}

// Finds the route of each request and has it answered; what has no route, or fails on the way, gets a problem. The
// first pattern that fits a path is the only one that counts for it. Every answer is reported to the telemetry.
class Router final : public Handler {
 public:
  // The names of answers without a route.
  static constexpr std::string_view kUnknownRoute = "unknown";
  static constexpr std::string_view kBadHeadRoute = "bad-head";

  // `unknown_path` is the detail of the problem for a path that fits no pattern.
  Router(std::vector<Route> routes, std::string unknown_path, const Clock& clock, Log& log, Telemetry& telemetry);

  aio::Task<Response> Handle(Exchange& exchange) override;
  std::optional<Response> HandleNow(Exchange& exchange) override;
  Response OnBadHead(const Error& error) override;

 private:
  // Where a request belongs: an empty pattern when no path fits, no route when the path does not take the method.
  struct Place {
    std::string_view pattern;
    std::string_view variable;
    const Route* route;
  };

  Place PlaceOf(const wire::RequestHead& head) const;
  Response WrongMethod(std::string_view pattern) const;
  Response Broken(const Route& route, const Error& error);

  const std::vector<Route> routes_;
  const std::string unknown_path_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
};

}  // namespace lazaret::http
