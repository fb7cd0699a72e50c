// Who asked to be called back is, once and for all, and nobody else.
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include "integration/async_fixture.h"
#include "integration/callback_receiver.h"

namespace lazaret::tests {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;
using testing::UnorderedElementsAre;

constexpr const char* kDelivered = "lazaret_callbacks_total{result=\"delivered\"}";
constexpr const char* kFailed = "lazaret_callbacks_total{result=\"failed\"}";
constexpr const char* kGivenUp = "lazaret_callbacks_total{result=\"given-up\"}";
constexpr const char* kWaiting = "lazaret_callbacks_waiting";
constexpr const char* kSecret = "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiB0aGlydHkgYnl0ZXM=";

class Webhook : public AsyncTest {
 protected:
  Webhook() { root_.Write("secret", std::string(kSecret) + "\n"); }

  // Arguments that allow callbacks to `host` at the receiver's port and, if it is not empty, to this network.
  std::vector<std::string> Allow(const std::string& host, const std::string& network,
                                 std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.end(),
                     {"--webhook-host", fmt::format("{}:{}", host, receiver_.port()), "--set",
                      "webhook.secret_file=" + (root_ / "secret").native(), "--set", "webhook.timeout=60s"});
    if (!network.empty()) arguments.insert(arguments.end(), {"--set", "webhook.private_networks=" + network});
    return arguments;
  }
  std::vector<std::string> AllowLoopback(std::vector<std::string> arguments = {}) const {
    return Allow("127.0.0.1", "127.0.0.0/8", std::move(arguments));
  }
  Result<HttpResponse> SubmitFor(std::string_view content, const std::string& url, std::string_view name = "") const {
    const std::string named = name.empty() ? "" : fmt::format("&name={}", name);
    return Post(port(), fmt::format("/v1/scans?callback={}{}", url, named), content);
  }
  static boost::json::object ScanIn(const Call& call) {
    boost::system::error_code failed;
    const auto value = boost::json::parse(call.body, failed);
    EXPECT_TRUE(!failed && value.is_object()) << call.body;
    return value.is_object() ? value.get_object() : boost::json::object();
  }

  CallbackReceiver receiver_;
};

TEST_F(Webhook, TellsWhoAskedWhatWasFound) {
  Start(AllowLoopback());
  ASSERT_THAT(SubmitFor(Eicar(), receiver_.Url(), "invoice.pdf"), HasStatus(202));
  const auto calls = receiver_.WaitForCalls(1);
  ASSERT_THAT(calls, SizeIs(1));
  const auto scan = ScanIn(calls[0]);
  EXPECT_EQ(TextOf(scan, "id"), IdOf(Eicar()));
  EXPECT_EQ(TextOf(scan, "status"), "done");
  EXPECT_EQ(TextOf(scan, "verdict"), "infected");
  EXPECT_EQ(TextOf(scan, "name"), "invoice.pdf");
  EXPECT_EQ(calls[0].target, "/called");
  EXPECT_EQ(calls[0].Field("Host"), fmt::format("127.0.0.1:{}", receiver_.port()));
  EXPECT_THAT(calls[0].Field("Content-Type"), StartsWith("application/json"));
  EXPECT_THAT(calls[0].Field("webhook-id"), StartsWith("msg_"));
  EXPECT_TRUE(calls[0].IsSignedWith(kSecret));
  EXPECT_FALSE(calls[0].IsSignedWith("whsec_YW5vdGhlciBzZWNyZXQgb2YgdGhpcnR5IGJ5dGVzISE="));
  for (const auto& tampered : {Call{"", calls[0].headers, calls[0].body + " "}, Call{"", {}, calls[0].body}}) {
    EXPECT_FALSE(tampered.IsSignedWith(kSecret));
  }
  EXPECT_TRUE(MetricBecomes(kDelivered, 1));
  EXPECT_TRUE(MetricBecomes(kWaiting, 0));
}

TEST_F(Webhook, TellsOfEachFileOfAForm) {
  Start(AllowLoopback());
  ASSERT_THAT(
      SubmitForm(port(),
                 {{"a", "a.txt", "harmless"}, {"b", "b.com", Eicar()}, {"callback", std::nullopt, receiver_.Url()}}),
      HasStatus(202));
  std::vector<std::string> told;
  for (const Call& call : receiver_.WaitForCalls(2)) {
    EXPECT_TRUE(call.IsSignedWith(kSecret));
    told.push_back(TextOf(ScanIn(call), "name") + " " + TextOf(ScanIn(call), "verdict"));
  }
  EXPECT_THAT(told, UnorderedElementsAre("a.txt clean", "b.com infected"));
}

TEST_F(Webhook, TellsOfWhatIsKnownAndOfDeadLetters) {
  Start(AllowLoopback(WithHooks()));
  ASSERT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  ASSERT_THAT(SubmitFor(Eicar(), receiver_.Url()), HasStatus(200));
  auto calls = receiver_.WaitForCalls(1);
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_EQ(TextOf(ScanIn(calls[0]), "verdict"), "infected");
  ASSERT_THAT(SubmitFor(Hook("crash"), receiver_.Url()), HasStatus(202));
  calls = receiver_.WaitForCalls(2);
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_EQ(TextOf(ScanIn(calls[1]), "reason"), "engine-crashed");
  EXPECT_NE(calls[0].Field("webhook-id"), calls[1].Field("webhook-id"));
}

TEST_F(Webhook, TriesAgainWithTheSameId) {
  Start(AllowLoopback());
  receiver_.AnswerWith(503);
  ASSERT_THAT(SubmitFor(Eicar(), receiver_.Url()), HasStatus(202));
  ASSERT_THAT(receiver_.WaitForCalls(1), SizeIs(1));
  EXPECT_TRUE(MetricBecomes(kFailed, 1));
  EXPECT_TRUE(MetricBecomes(kWaiting, 1));
  receiver_.AnswerWith(200);
  const auto calls = receiver_.WaitForCalls(2);
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_EQ(calls[0].Field("webhook-id"), calls[1].Field("webhook-id"));
  EXPECT_EQ(calls[0].body, calls[1].body);
  EXPECT_TRUE(calls[1].IsSignedWith(kSecret));
  EXPECT_TRUE(MetricBecomes(kDelivered, 1));
  EXPECT_TRUE(MetricBecomes(kWaiting, 0));
}

TEST_F(Webhook, GivesUpWhenItMust) {
  Start(AllowLoopback({"--set", "webhook.attempts=1"}));
  unsigned number = 0;
  for (const int status : {500, 410, 302}) {
    receiver_.AnswerWith(status);
    ASSERT_THAT(SubmitFor(EicarWithPrefix(++number), receiver_.Url()), HasStatus(202));
    EXPECT_TRUE(MetricBecomes(kGivenUp, number)) << status;
    EXPECT_TRUE(MetricBecomes(kWaiting, 0));
  }
  EXPECT_THAT(receiver_.Calls(), SizeIs(3));
}

TEST_F(Webhook, IsKeptWhenTheServerIsKilled) {
  LaunchWithoutEngine(AllowLoopback());
  ASSERT_THAT(SubmitFor(EicarWithPrefix(1), receiver_.Url()), HasStatus(202));
  server().Kill();
  // The scan is done, and the call cut off.
  receiver_.AnswerWith(0);
  LaunchWithoutEngine(AllowLoopback());
  GiveSignatures();
  auto calls = receiver_.WaitForCalls(1);
  ASSERT_THAT(calls, SizeIs(1));
  server().Kill();
  receiver_.AnswerWith(204);
  Start(AllowLoopback());
  calls = receiver_.WaitForCalls(2);
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_EQ(calls[0].Field("webhook-id"), calls[1].Field("webhook-id"));
  EXPECT_EQ(TextOf(ScanIn(calls[1]), "verdict"), "infected");
  EXPECT_TRUE(calls[1].IsSignedWith(kSecret));
  EXPECT_TRUE(MetricBecomes(kWaiting, 0));
}

TEST_F(Webhook, GoesNowhereButToAllowedHosts) {
  CallbackReceiver other;
  Start(AllowLoopback());
  for (const std::string& url :
       {other.Url(), receiver_.Url("localhost"), receiver_.Url("127.0.0.2"), std::string("http://example.com/"),
        fmt::format("http://user@127.0.0.1:{}/", receiver_.port()),
        fmt::format("ftp://127.0.0.1:{}/", receiver_.port()), std::string("127.0.0.1"), std::string("")}) {
    EXPECT_THAT(SubmitFor("one", url), IsProblem(400, "bad-callback")) << url;
    EXPECT_THAT(SubmitForm(port(), {{"f", "f", "one"}, {"callback", std::nullopt, url}}),
                IsProblem(400, "bad-callback"))
        << url;
  }
  EXPECT_THAT(Poll(port(), IdOf("one"), 0), HasStatus(404));
  // An allowed receiver cannot send it elsewhere either.
  receiver_.AnswerWith(307, fmt::format("Location: {}\r\n", other.Url()));
  ASSERT_THAT(SubmitFor(Eicar(), receiver_.Url()), HasStatus(202));
  EXPECT_TRUE(MetricBecomes(kFailed, 1));
  EXPECT_THAT(other.Calls(), SizeIs(0));
}

TEST_F(Webhook, GoesToLoopbackOnlyWhereThatIsListed) {
  // A name that leads there is not found out before it is resolved.
  Start(Allow("localhost", ""));
  ASSERT_THAT(SubmitFor(Eicar(), receiver_.Url("localhost")), HasStatus(202));
  EXPECT_TRUE(MetricBecomes(kFailed, 1));
  EXPECT_THAT(receiver_.Calls(), SizeIs(0));
  EXPECT_EQ(VerdictOf(Eicar()), "infected") << "the scan does not suffer";

  Start(Allow("127.0.0.1", "10.0.0.0/8"));
  const auto refused = SubmitFor(EicarWithPrefix(1), receiver_.Url());
  if (refused && refused->status == 202) {
    EXPECT_TRUE(MetricBecomes(kFailed, 1));
  } else {
    EXPECT_THAT(refused, IsProblem(400, "bad-callback"));
  }
  EXPECT_THAT(receiver_.Calls(), SizeIs(0));

  Start(Allow("localhost", "127.0.0.1"));
  ASSERT_THAT(SubmitFor(EicarWithPrefix(2), receiver_.Url("localhost")), HasStatus(202));
  EXPECT_THAT(receiver_.WaitForCalls(1), SizeIs(testing::Ge(1)));
}

TEST_F(Webhook, NeedsASecret) {
  ServerOptions options = Options();
  options.arguments = {"--webhook-host", "hooks.example.com"};
  ServerProcess process(options);
  EXPECT_EQ(process.port(), 0);
  EXPECT_EQ(process.WaitForEnd(), 1);
  EXPECT_THAT(process.Log(), HasSubstr("webhook.secret_file"));
}

}  // namespace
}  // namespace lazaret::tests
