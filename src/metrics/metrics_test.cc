#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <limits>
#include <stdexcept>
#include <thread>

#include "metrics/exposition_checker.h"
#include "metrics/standard_gauges.h"

namespace lazaret::metrics {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using Time = std::chrono::duration<double>;

Metrics::Names TestNames() { return {{"/v1/scan", "/v1/scans/{id}"}, {"queue-full", "memory"}}; }

// The series of a page, which must be valid.
std::map<std::string, double> SeriesOf(const Metrics& metrics) {
  Exposition page = ReadExposition(metrics.Render());
  EXPECT_THAT(page.problems, IsEmpty());
  return page.series;
}

EngineInfo TestEngine() {
  return EngineInfo{.signature_set = Sha256::Of(AsBytes("set")),
                    .profile = Sha256::Of(AsBytes("profile")),
                    .name = "ClamAV",
                    .version = "1.4.6",
                    .signature_label = "daily 28129, main 63, 3d1f0a2b",
                    .built_at = WallTime(seconds(1000)),
                    .signatures = 3627500,
                    .databases = {{"daily", 28129, WallTime(seconds(1000))}, {"main", 63, WallTime(seconds(500))}}};
}

TEST(ExpositionChecker, FindsWhatIsWrong) {
  const auto problems = [](std::string_view page) { return ReadExposition(page).problems; };
  const std::string head = "# HELP a_total h\n# TYPE a_total counter\n";
  EXPECT_THAT(problems(head + "a_total 1\na_total{x=\"1\",y=\"\\\"\\\\\\n\"} 2.5e+3\n"), IsEmpty());
  EXPECT_THAT(problems(head + "a_total 1"), ElementsAre(HasSubstr("no newline")));
  EXPECT_THAT(problems(head + "a_total 1\na_total 1\n"), ElementsAre(HasSubstr("a series twice")));
  EXPECT_THAT(problems(head + "a_total one\n"), ElementsAre(HasSubstr("not a number")));
  EXPECT_THAT(problems(head + "b_total 1\n"), ElementsAre(HasSubstr("outside its family")));
  EXPECT_THAT(problems(head + "a_total{x=\"\"\"} 1\n"), ElementsAre(HasSubstr("not labels")));
  EXPECT_THAT(problems(head + "a_total{x=\"1\",x=\"2\"} 1\n"), ElementsAre(HasSubstr("a label twice")));
  EXPECT_THAT(problems(head + "2a 1\n"), ElementsAre(HasSubstr("not a line")));
  EXPECT_THAT(problems(head + "\n"), ElementsAre(HasSubstr("not a line")));
  EXPECT_THAT(problems(head + "# HELP b h\n# TYPE b gauge\n" + head), Contains(HasSubstr("in two places")));
  EXPECT_THAT(problems("# HELP b h\n"), ElementsAre(HasSubstr("no TYPE")));
  EXPECT_THAT(problems("# HELP b h\n# TYPE b counter\n"), ElementsAre(HasSubstr("without _total")));
  const std::string histogram = "# HELP h h\n# TYPE h histogram\n";
  EXPECT_THAT(problems(histogram + "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"), IsEmpty());
  EXPECT_THAT(problems(histogram + "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
              ElementsAre(HasSubstr("counts shrink")));
  EXPECT_THAT(problems(histogram + "h_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\nh_sum 3\nh_count 2\n"),
              Contains(HasSubstr("bounds do not grow")));
  EXPECT_THAT(problems(histogram + "h_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n"), ElementsAre(HasSubstr("incomplete")));
  EXPECT_THAT(problems(histogram + "h_bucket{le=\"+Inf\"} 1\nh_count 1\n"), ElementsAre(HasSubstr("incomplete")));
}

TEST(Metrics, HasEveryKnownSeriesFromTheStart) {
  const Metrics metrics(TestNames());
  const auto series = SeriesOf(metrics);
  for (const auto& [name, value] : series) EXPECT_EQ(value, 0) << name;
  for (const char* name : {
           R"(lazaret_http_requests_total{route="/v1/scan",status="200"})",
           R"(lazaret_http_requests_total{route="/v1/scans/{id}",status="404"})",
           R"(lazaret_http_requests_total{route="other",status="503"})",
           R"(lazaret_http_request_duration_seconds_count{route="/v1/scan"})",
           R"(lazaret_verdicts_total{cached="false",reason="",verdict="clean"})",
           R"(lazaret_verdicts_total{cached="true",reason="",verdict="infected"})",
           R"(lazaret_verdicts_total{cached="true",reason="engine-crashed",verdict="unscannable"})",
           R"(lazaret_cache_lookups_total{result="hit"})",
           R"(lazaret_cache_lookups_total{result="miss"})",
           R"(lazaret_cache_lookups_total{result="stale"})",
           R"(lazaret_cache_lookups_total{result="error"})",
           "lazaret_cache_write_failures_total",
           "lazaret_override_answers_total{verdict=\"clean\"}",
           "lazaret_override_answers_total{verdict=\"infected\"}",
           "lazaret_stale_answers_total",
           "lazaret_rescans_total{verdict=\"clean\"}",
           "lazaret_scan_duration_seconds_count",
           "clamav_scan_duration_seconds_count",
           "lazaret_scanned_bytes_total",
           "lazaret_coalesced_requests_total",
           "lazaret_scans_given_way_total",
           R"(lazaret_refused_requests_total{why="queue-full"})",
           R"(lazaret_refused_requests_total{why="memory"})",
           R"(lazaret_refused_requests_total{why="other"})",
           "lazaret_spool_duration_seconds_count",
           "lazaret_spooled_bytes_total",
           "lazaret_scanners_started_total",
           R"(lazaret_scanners_ended_total{cause="recycled"})",
           R"(lazaret_scanners_ended_total{cause="crashed"})",
           R"(lazaret_scanners_ended_total{cause="deadline"})",
           R"(lazaret_scanners_ended_total{cause="cancelled"})",
           R"(lazaret_scanners_ended_total{cause="shutdown"})",
           "lazaret_zygote_restarts_total",
       }) {
    EXPECT_TRUE(series.contains(name)) << name;
  }
  EXPECT_EQ(std::ranges::count_if(series, [](const auto& s) { return s.first.starts_with("lazaret_verdicts_total"); }),
            22);
}

TEST(Metrics, CountsEachEventInItsSeries) {
  Metrics metrics(TestNames());
  metrics.OnRequest("/v1/scan", 200, Time(0.02));
  metrics.OnRequest("/v1/scan", 200, Time(0.02));
  metrics.OnRequest("/v1/scan", 503, Time(2));
  metrics.OnVerdict(VerdictKind::kClean, Reason::kNone, false);
  metrics.OnVerdict(VerdictKind::kInfected, Reason::kNone, true);
  metrics.OnVerdict(VerdictKind::kUnscannable, Reason::kTimeout, false);
  metrics.OnCacheLookup(CacheResult::kStale);
  metrics.OnCacheWriteFailed();
  metrics.OnOverridden(VerdictKind::kInfected);
  metrics.OnStaleServed();
  metrics.OnRescanned(VerdictKind::kUnscannable);
  metrics.OnScan(Time(0.3), 1000);
  metrics.OnScan(Time(400), 24);
  metrics.OnCoalesced();
  for (int i = 0; i < 2; ++i) metrics.OnGaveWay();
  metrics.OnRefused("memory");
  metrics.OnSpooled(Time(0.5), 77);
  metrics.OnScannerStarted();
  metrics.OnScannerEnded(ScannerEnd::kDeadline);
  metrics.OnZygoteRestarted();
  metrics.OnJob(JobEvent::kAttached);
  metrics.OnJob(JobEvent::kLost);
  metrics.OnSignatures(SignatureEvent::kRefused);
  metrics.OnDelivery(DeliveryEvent::kGivenUp);

  auto series = SeriesOf(metrics);
  const auto take = [&](const std::string& name) {
    const auto found = series.find(name);
    return found == series.end() ? -1 : std::exchange(found->second, 0);
  };
  EXPECT_EQ(take(R"(lazaret_http_requests_total{route="/v1/scan",status="200"})"), 2);
  EXPECT_EQ(take(R"(lazaret_http_requests_total{route="/v1/scan",status="503"})"), 1);
  EXPECT_EQ(take(R"(lazaret_jobs_total{event="attached"})"), 1);
  EXPECT_EQ(take(R"(lazaret_jobs_total{event="lost"})"), 1);
  EXPECT_EQ(take(R"(lazaret_signature_changes_total{event="refused"})"), 1);
  EXPECT_EQ(take(R"(lazaret_callbacks_total{result="given-up"})"), 1);
  EXPECT_EQ(take(R"(lazaret_http_request_duration_seconds_count{route="/v1/scan"})"), 3);
  EXPECT_DOUBLE_EQ(take(R"(lazaret_http_request_duration_seconds_sum{route="/v1/scan"})"), 2.04);
  EXPECT_EQ(take(R"(lazaret_verdicts_total{cached="false",reason="",verdict="clean"})"), 1);
  EXPECT_EQ(take(R"(lazaret_verdicts_total{cached="true",reason="",verdict="infected"})"), 1);
  EXPECT_EQ(take(R"(lazaret_verdicts_total{cached="false",reason="timeout",verdict="unscannable"})"), 1);
  EXPECT_EQ(take(R"(lazaret_cache_lookups_total{result="stale"})"), 1);
  EXPECT_EQ(take("lazaret_cache_write_failures_total"), 1);
  EXPECT_EQ(take("lazaret_override_answers_total{verdict=\"infected\"}"), 1);
  EXPECT_EQ(take("lazaret_stale_answers_total"), 1);
  EXPECT_EQ(take("lazaret_rescans_total{verdict=\"unscannable\"}"), 1);
  for (const std::string name : {"lazaret_scan_duration_seconds", "clamav_scan_duration_seconds"}) {
    EXPECT_EQ(take(name + R"(_bucket{le="0.25"})"), 0);
    EXPECT_EQ(take(name + R"(_bucket{le="0.5"})"), 1);
    EXPECT_EQ(take(name + R"(_bucket{le="300"})"), 1);
    EXPECT_EQ(take(name + R"(_bucket{le="+Inf"})"), 2);
    EXPECT_DOUBLE_EQ(take(name + "_sum"), 400.3);
    EXPECT_EQ(take(name + "_count"), 2);
  }
  EXPECT_EQ(take("lazaret_scanned_bytes_total"), 1024);
  EXPECT_EQ(take("lazaret_coalesced_requests_total"), 1);
  EXPECT_EQ(take("lazaret_scans_given_way_total"), 2);
  EXPECT_EQ(take(R"(lazaret_refused_requests_total{why="memory"})"), 1);
  EXPECT_EQ(take("lazaret_spool_duration_seconds_count"), 1);
  EXPECT_EQ(take("lazaret_spool_duration_seconds_sum"), 0.5);
  EXPECT_EQ(take("lazaret_spooled_bytes_total"), 77);
  EXPECT_EQ(take("lazaret_scanners_started_total"), 1);
  EXPECT_EQ(take(R"(lazaret_scanners_ended_total{cause="deadline"})"), 1);
  EXPECT_EQ(take("lazaret_zygote_restarts_total"), 1);
  for (const auto& [name, value] : series) {
    if (name.find("_bucket{") == name.npos) EXPECT_EQ(value, 0) << name << " counted, too";
  }
}

TEST(Metrics, CountsWhatItWasNotToldAboutAsOther) {
  Metrics metrics(TestNames());
  metrics.OnRequest("/etc/passwd", 404, Time(1));
  metrics.OnRequest("/v1/scan", 418, Time(1));
  metrics.OnRequest("/v1/scan", 99, Time(1));
  metrics.OnRequest("/v1/scan", 600, Time(1));
  metrics.OnRequest("/v1/scan", 100, Time(1));
  metrics.OnRequest("/v1/scan", 599, Time(1));
  metrics.OnRequest("/v1/scan", -1, Time(1));
  metrics.OnRefused("moon");
  const auto series = SeriesOf(metrics);
  EXPECT_EQ(series.at(R"(lazaret_http_requests_total{route="other",status="404"})"), 1);
  EXPECT_EQ(series.at(R"(lazaret_http_requests_total{route="/v1/scan",status="418"})"), 1);
  EXPECT_EQ(series.at(R"(lazaret_http_requests_total{route="/v1/scan",status="100"})"), 1);
  EXPECT_EQ(series.at(R"(lazaret_http_requests_total{route="/v1/scan",status="599"})"), 1);
  EXPECT_EQ(series.at(R"(lazaret_http_requests_total{route="/v1/scan",status="other"})"), 3);
  EXPECT_EQ(series.at(R"(lazaret_refused_requests_total{why="other"})"), 1);
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("passwd")));
}

TEST(Metrics, RefusesVerdictsThatCannotBe) {
  Metrics metrics(TestNames());
  EXPECT_THROW(metrics.OnVerdict(VerdictKind::kUnscannable, Reason::kNone, false), std::logic_error);
  EXPECT_THROW(metrics.OnVerdict(VerdictKind::kClean, Reason::kTimeout, false), std::logic_error);
}

TEST(Metrics, AsksGaugesAtEveryRender) {
  Metrics metrics(TestNames());
  double value = 1;
  metrics.AddGauge("g", "G.", {{"where", "a"}}, [&] { return value; });
  metrics.AddGauge("g", "G.", {{"where", "b"}}, [] { return 9.0; });
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(g{where="a"})", 1)));
  value = 2.5;
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(g{where="a"})", 2.5)));
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(g{where="b"})", 9)));
}

TEST(Metrics, LetsGaugesChangeTheirLabels) {
  Metrics metrics(TestNames());
  std::vector<Sample> samples;
  metrics.AddGauge("info", "I.", [&] { return samples; });
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("info"))) << "no sample, no family";
  samples = {{{{"set", "one"}}, 1}};
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(info{set="one"})", 1)));
  samples = {{{{"set", "two"}}, 1}};
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(info{set="two"})", 1)));
  EXPECT_THAT(SeriesOf(metrics), Not(Contains(Pair(R"(info{set="one"})", 1))));
}

TEST(Metrics, StaysValidWhateverGaugesSay) {
  Metrics metrics(TestNames());
  metrics.AddGauge("odd", "O.", []() -> std::vector<Sample> {
    return {{{{"l", "quote\" back\\slash new\nline"}}, 1},
            {{{"l", "gr\xC3\xBC\xFF"}}, 2},
            {{{"l", "same"}}, 3},
            {{{"l", "same"}}, 4},
            {{{"l", "none"}}, std::numeric_limits<double>::quiet_NaN()},
            {{{"l", "large"}}, std::numeric_limits<double>::infinity()}};
  });
  const auto series = SeriesOf(metrics);
  EXPECT_THAT(series, Contains(Pair(R"(odd{l="quote\" back\\slash new?line"})", 1)));
  EXPECT_THAT(series, Contains(Pair(R"(odd{l="gr???"})", 2)));
  EXPECT_THAT(series, Contains(Pair(R"(odd{l="same"})", 3)));
  EXPECT_FALSE(series.contains(R"(odd{l="none"})"));
  EXPECT_TRUE(series.contains(R"(odd{l="large"})"));
}

TEST(Metrics, RefusesNamesThatWouldSpoilThePage) {
  Metrics metrics(TestNames());
  const auto zero = [] { return 0.0; };
  EXPECT_THROW(metrics.AddGauge("a b", "A.", {}, zero), std::logic_error);
  EXPECT_THROW(metrics.AddGauge("a", "A.", {{"x-y", ""}}, zero), std::logic_error);
  EXPECT_THROW(metrics.AddGauge("lazaret_verdicts_total", "A.", {}, zero), std::logic_error);
  EXPECT_THROW(metrics.AddGauge("clamav_scan_duration_seconds", "A.", {}, zero), std::logic_error);
}

// Run with the thread sanitizer, too.
TEST(Metrics, LosesNothingBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  constexpr int kStatuses = 500;
  Metrics metrics(TestNames());
  std::atomic<double> level = 0;
  metrics.AddGauge("level", "L.", {}, [&] { return level.load(); });
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) EXPECT_THAT(ReadExposition(metrics.Render()).problems, IsEmpty());
  });
  std::barrier together(kThreads);
  std::vector<std::jthread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        together.arrive_and_wait();
        // Most statuses are not made in advance: all threads race for making their counters.
        metrics.OnRequest("/v1/scan", 100 + i % kStatuses, Time(0.001));
        metrics.OnVerdict(VerdictKind::kClean, Reason::kNone, i % 2 == 0);
        metrics.OnScan(Time(0.001), 10);
        metrics.OnRefused("queue-full");
        level = i;
      }
    });
  }
  writers.clear();
  done = true;
  reader.join();
  const auto series = SeriesOf(metrics);
  constexpr double kAll = kThreads * kEach;
  for (int status = 100; status < 100 + kStatuses; ++status) {
    const std::string name =
        R"(lazaret_http_requests_total{route="/v1/scan",status=")" + std::to_string(status) + "\"}";
    EXPECT_EQ(series.at(name), kAll / kStatuses) << status;
  }
  EXPECT_EQ(series.at(R"(lazaret_http_request_duration_seconds_count{route="/v1/scan"})"), kAll);
  EXPECT_EQ(series.at(R"(lazaret_verdicts_total{cached="true",reason="",verdict="clean"})"), kAll / 2);
  EXPECT_EQ(series.at("lazaret_scanned_bytes_total"), kAll * 10);
  EXPECT_EQ(series.at(R"(lazaret_refused_requests_total{why="queue-full"})"), kAll);
}

TEST(StandardGauges, ShowTheirSources) {
  FakeClock clock;
  EngineInfo engine = TestEngine();
  engine.built_at = clock.Now() - std::chrono::hours(2);
  engine.loaded_at = clock.Now() - std::chrono::hours(1);
  GaugeSources sources;
  sources.queue_length = [] { return 1.0; };
  sources.queue_oldest_wait_seconds = [] { return 2.0; };
  sources.scanners = [] { return ScannerCounts{3, 4, 5}; };
  sources.http_connections = [] { return 6.0; };
  sources.clamd_connections = [] { return 18.0; };
  sources.spool_memory_bytes = [] { return 7.0; };
  sources.contents_waiting_for_disk = [] { return 21.0; };
  sources.spool_disk_bytes = [] { return 8.0; };
  sources.cache_entries = [] { return 9.0; };
  sources.jobs = [&clock] {
    return JobCounts{
        .queued = 10, .leased = 11, .done = 12, .dead = 13, .bytes = 14, .oldest = clock.Now() - seconds(15)};
  };
  sources.callbacks_waiting = [] { return 16.0; };
  sources.long_polls = [] { return 17.0; };
  sources.signatures.engine = [&] { return std::make_shared<const EngineInfo>(engine); };
  Metrics metrics(TestNames());
  AddStandardGauges(metrics, sources, clock, "0.1.0");
  const auto series = SeriesOf(metrics);
  const double built = std::chrono::duration<double>(engine.built_at->time_since_epoch()).count();
  const std::map<std::string, double> expected = {
      {"lazaret_queue_length", 1},
      {"clamav_queue_length", 1},
      {"lazaret_queue_oldest_wait_seconds", 2},
      {R"(lazaret_scanners{state="idle"})", 3},
      {R"(lazaret_scanners{state="busy"})", 4},
      {R"(lazaret_scanners{state="starting"})", 5},
      {"lazaret_http_connections", 6},
      {"lazaret_clamd_connections", 18},
      {R"(lazaret_spool_bytes{where="memory"})", 7},
      {R"(lazaret_spool_bytes{where="disk"})", 8},
      {"lazaret_contents_waiting_for_disk", 21},
      {"lazaret_cache_entries", 9},
      {R"(lazaret_jobs{state="queued"})", 10},
      {R"(lazaret_jobs{state="scanning"})", 11},
      {R"(lazaret_jobs{state="done"})", 12},
      {R"(lazaret_jobs{state="dead"})", 13},
      {"lazaret_job_bytes", 14},
      {"lazaret_job_oldest_age_seconds", 15},
      {"lazaret_callbacks_waiting", 16},
      {"lazaret_long_polls", 17},
      {R"(lazaret_build_info{version="0.1.0"})", 1},
      {"clamav_up", 1},
      {"clamav_db_version", 28129},
      {"clamav_db_timestamp_seconds", built},
      {"lazaret_signature_set_built_timestamp_seconds", built},
      {"lazaret_signature_set_age_seconds", 7200},
      {"lazaret_signatures", 3627500},
      {"lazaret_signature_set_loaded_timestamp_seconds", built + 3600},
      {R"(lazaret_signature_database_version{database="main"})", 63},
      {R"(lazaret_signature_set_info{set=")" + engine.signature_set.Hex() +
           R"(",label="daily 28129, main 63, 3d1f0a2b",engine="ClamAV 1.4.6"})",
       1},
  };
  for (const auto& [name, value] : expected) EXPECT_THAT(series, Contains(Pair(name, value)));
}

TEST(StandardGauges, FollowTheEngine) {
  const FakeClock clock;
  EngineInfoPtr engine;
  GaugeSources sources;
  sources.signatures.engine = [&] { return engine; };
  Metrics metrics(TestNames());
  AddStandardGauges(metrics, sources, clock, "0.1.0");
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair("clamav_up", 0)));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("lazaret_signature_set")));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("clamav_db")));

  EngineInfo info = TestEngine();
  info.built_at.reset();
  info.signature_label = "test set";
  info.databases.clear();
  engine = std::make_shared<const EngineInfo>(info);
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair("clamav_up", 1)));
  EXPECT_THAT(metrics.Render(), HasSubstr("label=\"test set\""));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("timestamp"))) << "the databases do not say";
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("clamav_db_version")));
}

TEST(SignatureGauges, ShowWhatIsNotInUse) {
  const FakeClock clock;
  SignatureFigures figures;
  EngineInfo engine = TestEngine();
  engine.built_at.reset();
  engine.files_at = clock.Now() - seconds(50);
  std::vector<NodeFigures> nodes = {{"1", "web1", "all", std::make_shared<const EngineInfo>(engine)},
                                    {"2", "web2", "api", nullptr}};
  bool too_old = false;
  Metrics metrics(TestNames());
  AddSignatureGauges(metrics,
                     {.engine = {},
                      .too_old = [&] { return too_old; },
                      .figures = [&] { return figures; },
                      .nodes = [&] { return nodes; }},
                     clock);
  const std::string set = engine.signature_set.Hex();
  auto series = SeriesOf(metrics);
  EXPECT_THAT(series, Contains(Pair("lazaret_signature_set_too_old", 0)));
  EXPECT_THAT(series, Contains(Pair(R"(lazaret_node_signature_set_age_seconds{node="1",host="web1"})", 50)));
  EXPECT_THAT(series, Contains(Pair(R"(lazaret_node_signature_set_info{node="1",host="web1",role="all",set=")" + set +
                                        R"(",label="daily 28129, main 63, 3d1f0a2b"})",
                                    1)));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("web2"))) << "it has no signatures";
  for (const char* none : {"_previous_info", "_loading", "_refused_"}) {
    EXPECT_THAT(metrics.Render(), Not(HasSubstr(std::string("lazaret_signature") + none + "{"))) << none;
  }
  figures = {.previous = SignatureFigures::Set{"ab", "daily 1"},
             .loading = "probing",
             .refused = SignatureFigures::Refusal{"does-not-load", WallTime(seconds(7))}};
  too_old = true;
  series = SeriesOf(metrics);
  EXPECT_THAT(series, Contains(Pair("lazaret_signature_set_too_old", 1)));
  EXPECT_THAT(series, Contains(Pair(R"(lazaret_signature_previous_info{set="ab",label="daily 1"})", 1)));
  EXPECT_THAT(series, Contains(Pair(R"(lazaret_signature_loading{phase="probing"})", 1)));
  EXPECT_THAT(series, Contains(Pair(R"(lazaret_signature_refused_timestamp_seconds{kind="does-not-load"})", 7)));
}

TEST(StandardGauges, LeaveOutWhatHasNoSource) {
  const FakeClock clock;
  Metrics metrics(TestNames());
  AddStandardGauges(metrics, {}, clock, "0.1.0");
  EXPECT_THAT(SeriesOf(metrics), Contains(Pair(R"(lazaret_build_info{version="0.1.0"})", 1)));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("queue_length")));
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("clamav_up")));
}

}  // namespace
}  // namespace lazaret::metrics
