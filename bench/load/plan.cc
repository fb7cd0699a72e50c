#include "load/plan.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <expected>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace lazaret::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDescription =
    R"(Sends contents to a lazaret server and measures how long each answer takes. Every answer is checked; a wrong one fails the run.

Closed loop: each connection sends its next request when the last one is answered. Open loop (--rate): requests begin at
set times whatever the server does, and their latency counts from the time they should have begun at.)";

constexpr const char* kExamples = R"(Examples:
  lazaret_load http://127.0.0.1:8484 --corpus /usr/share/doc --passes 1 --connections 8
  lazaret_load http://127.0.0.1:8484 --body-size 4KiB --salt --rate 200 --connections 1000 --duration 30
  lazaret_load http://127.0.0.1:8484 --body-size 1MiB --hash-first --connections 32 --duration 10 --expect clean
  lazaret_load http://127.0.0.1:8484/v1/scans --body-size 4KiB --salt --expect-status 202 --expect nothing --duration 10
  lazaret_load http://127.0.0.1:8484/v1/scans/{id} --get --corpus DIR --connections 64 --duration 10
  lazaret_load unix:/run/lazaret.sock --corpus DIR --send-rate 20KiB --connections 10000 --ramp 10 --passes 1

Exit status: 0 when every answer was right, 1 when one was not, 2 for a wrong command line.)";

struct Words {
  std::string url;
  fs::path corpus, ids;
  std::uint64_t body_size = 0;
  bool has_body = false;
  bool hash_first = false, get = false, poisson = false, no_keep_alive = false;
  std::string expect = "verdict";
  std::uint64_t passes = 0;
  double duration = 0, warm_up = 0, ramp = 0, timeout = 0, rate = 0;
};

milliseconds Milliseconds(double seconds) { return milliseconds(static_cast<milliseconds::rep>(seconds * 1000)); }

[[noreturn]] void Refuse(const std::string& what) { throw CLI::ValidationError(what); }

std::uint16_t ParsePort(const std::string& text) {
  unsigned value = 0;
  if (!CLI::detail::lexical_cast(text, value) || value == 0 || value > 65535) Refuse(text + " is no port");
  return static_cast<std::uint16_t>(value);
}

// http://HOST:PORT[/PATH] or unix:SOCKET[:/PATH]
void ParseUrl(const std::string& url, Plan& plan) {
  std::string rest = url;
  if (rest.starts_with("unix:")) {
    rest.erase(0, 5);
    if (const auto colon = rest.find(":/"); colon != rest.npos) {
      plan.path = rest.substr(colon + 1);
      rest.resize(colon);
    }
    plan.target.socket = rest;
    return;
  }
  if (!rest.starts_with("http://")) Refuse("URL must be http://HOST:PORT[/PATH] or unix:SOCKET[:/PATH]");
  rest.erase(0, 7);
  if (const auto slash = rest.find('/'); slash != rest.npos) {
    if (rest.size() > slash + 1) plan.path = rest.substr(slash);
    rest.resize(slash);
  }
  const auto colon = rest.rfind(':');
  if (colon == rest.npos) Refuse("URL needs a port");
  plan.target.port = ParsePort(rest.substr(colon + 1));
  plan.target.host = rest.substr(0, colon);
  if (plan.target.host == "localhost") plan.target.host = "127.0.0.1";
  std::erase_if(plan.target.host, [](char letter) { return letter == '[' || letter == ']'; });
}

void AddOptions(CLI::App& app, Words& words, Plan& plan) {
  const auto size = CLI::AsSizeValue(false);
  app.add_option("url", words.url,
                 "http://HOST:PORT[/PATH] or unix:SOCKET[:/PATH]; PATH is /v1/scan when it is not said")
      ->required();
  auto* corpus = app.add_option("--corpus", words.corpus, "send the files below this directory in turn")
                     ->check(CLI::ExistingDirectory);
  app.add_option("--body-size", words.body_size, "send text of this size instead, such as 1KiB or 4GiB")
      ->transform(size)
      ->excludes(corpus);
  app.add_option("--ids", words.ids, "with --get: ask for the ids in this file in turn, one a line")
      ->check(CLI::ExistingFile)
      ->excludes(corpus);
  app.add_flag("--salt", plan.salt, "24 bytes more behind each body make it another content every time");
  app.add_flag("--hash-first", words.hash_first, "send the digest, and the body only when the server asks for it");
  app.add_flag("--get", words.get, "send no body; {id} in PATH becomes the scan id of a content");
  app.add_option(
      "--expect", words.expect,
      "clean, infected, unscannable; verdict: any one (default); nothing: do not look for one; or the file of an "
      "earlier run's --answers");
  app.add_option("--expect-status", plan.expected.status, "the status of right answers (default 200)");
  app.add_option("--allow-status", plan.allowed_statuses,
                 "a status that is no failure, but counted on its own, such as 503");
  app.add_option("--connections", plan.connections, "at the same time (default 1)")->check(CLI::Range(1, 1'000'000));
  app.add_option("--threads", plan.threads, "that share the connections (default 1)")->check(CLI::Range(1, 256));
  app.add_option("--rate", words.rate, "open loop: so many requests a second")->check(CLI::PositiveNumber);
  app.add_flag("--poisson", words.poisson, "with --rate: at random times, as independent clients come");
  app.add_option("--requests", plan.requests, "stop after so many")->check(CLI::PositiveNumber);
  app.add_option("--passes", words.passes, "stop when everything has been sent so often")->check(CLI::PositiveNumber);
  app.add_option("--duration", words.duration, "stop beginning requests after so many seconds")
      ->check(CLI::PositiveNumber);
  app.add_option("--warm-up", words.warm_up, "do not measure what begins in the first seconds")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--ramp", words.ramp, "begin with the connections one after the other over so many seconds")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--timeout", words.timeout, "seconds that an answer may take (default 120)")
      ->check(CLI::PositiveNumber);
  app.add_option("--send-rate", plan.send_rate,
                 "a slow client: so many bytes a second on each connection, such as 20KiB")
      ->transform(size);
  app.add_flag("--no-keep-alive", words.no_keep_alive, "a connection for each request");
  app.add_option("--seed", plan.seed, "of bodies, salts and random times (default 1)");
  app.add_flag("--progress", plan.progress, "a line on standard error every second, also when it is no terminal");
  app.add_flag("--json", plan.json, "print one JSON object");
  app.add_option("--answers", plan.answers, "write name, verdict and finding of each content to this file");
}

void CheckTogether(const Words& words, const Plan& plan) {
  if (!words.ids.empty() && !words.get) Refuse("--ids needs --get");
  if (words.hash_first && words.get) Refuse("--hash-first and --get exclude each other");
  if (plan.salt && (words.hash_first || words.get)) Refuse("--salt changes digests: not with --hash-first or --get");
  if (words.poisson && words.rate == 0) Refuse("--poisson needs --rate");
  if (plan.requests == 0 && words.passes == 0 && words.duration == 0)
    Refuse("say when to stop: --requests, --passes or --duration");
  if (plan.requests != 0 && words.passes != 0) Refuse("--requests and --passes exclude each other");
  if (plan.connections < plan.threads) Refuse("--threads must not be more than --connections");
}

void FillItems(const Words& words, Plan& plan) {
  Answers answers;
  static constexpr std::string_view kWords[] = {"clean", "infected", "unscannable"};
  if (std::ranges::find(kWords, words.expect) != std::end(kWords)) {
    plan.expected.word = words.expect;
  } else if (words.expect == "nothing") {
    plan.expected.verdict = false;
  } else if (words.expect != "verdict") {
    auto read = ReadAnswers(words.expect);
    if (!read) Refuse("--expect: " + read.error().what);
    answers = *std::move(read);
  }
  if (!words.ids.empty()) {
    auto items = ReadIds(words.ids);
    if (!items) Refuse("--ids: " + items.error().what);
    plan.items = *std::move(items);
    return;
  }
  if (words.corpus.empty()) {
    plan.items.push_back({"body", MakeText(words.body_size, plan.seed)});
  } else {
    auto items = ReadCorpus(words.corpus, answers);
    if (!items) Refuse(items.error().what);
    plan.items = *std::move(items);
  }
  if (plan.mode == Mode::kHashFirst || plan.path.find("{id}") != plan.path.npos) {
    for (Item& item : plan.items) item.digest = item.payload->ComputeDigest();
  }
}

// As many descriptors as are allowed.
void RaiseDescriptorLimit(std::uint64_t connections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (connections + 100 > limit.rlim_cur) {
    Refuse(fmt::format("{} connections need more than the {} descriptors that this process may have (ulimit -n)",
                       connections, limit.rlim_cur));
  }
}

}  // namespace

std::expected<Plan, int> ReadPlan(int argc, char** argv) {
  Plan plan;
  Words words;
  CLI::App app(kDescription);
  app.footer(kExamples);
  AddOptions(app, words, plan);
  try {
    app.parse(argc, argv);
    ParseUrl(words.url, plan);
    CheckTogether(words, plan);
    RaiseDescriptorLimit(plan.connections);
    plan.mode = words.get ? Mode::kGet : words.hash_first ? Mode::kHashFirst : Mode::kPost;
    FillItems(words, plan);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(app.exit(error) == 0 ? 0 : 2);
  }
  if (words.passes != 0) plan.requests = words.passes * plan.items.size();
  if (words.rate > 0) plan.rate = words.rate;
  if (words.poisson) plan.spacing = Spacing::kPoisson;
  if (words.duration > 0) plan.duration = Milliseconds(words.duration);
  if (words.timeout > 0) plan.timeout = Milliseconds(words.timeout);
  plan.warm_up = Milliseconds(words.warm_up);
  plan.ramp = Milliseconds(words.ramp);
  plan.keep_alive = !words.no_keep_alive;
  return plan;
}

}  // namespace lazaret::bench
