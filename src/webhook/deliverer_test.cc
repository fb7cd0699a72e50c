#include "webhook/deliverer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <charconv>
#include <future>
#include <stdexcept>

#include <fmt/format.h>

#include "webhook/deliverer_fixture.h"

namespace lazaret::webhook {
namespace {

namespace asio = boost::asio;
using testing::AllOf;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr const char* kOtherSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// "v1,<base64>" as a receiver computes it, with other functions than those of Signer.
std::string ExpectedSignature(std::string_view secret, const ReceivedRequest& request) {
  const auto* const text = reinterpret_cast<const unsigned char*>(secret.data()) + 6;
  unsigned char key[24];
  EVP_DecodeBlock(key, text, 32);
  const std::string message =
      request.Field("Webhook-Id") + '.' + request.Field("Webhook-Timestamp") + '.' + request.body;
  EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* const context = EVP_MAC_CTX_new(hmac);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
  unsigned char mac[32];
  std::size_t size = 0;
  EXPECT_EQ(EVP_MAC_init(context, key, sizeof key, parameters), 1);
  EXPECT_EQ(EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(message.data()), message.size()), 1);
  EXPECT_EQ(EVP_MAC_final(context, mac, &size, sizeof mac), 1);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(hmac);
  unsigned char encoded[64];
  const int length = EVP_EncodeBlock(encoded, mac, static_cast<int>(size));
  return "v1," + std::string(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(length));
}

TEST_F(DelivererTest, PostsASignedMessage) {
  std::promise<ReceivedRequest> received;
  Receiver receiver([&](Peer& peer) {
    auto request = ReadRequest(peer);
    peer.Write(Answer(200));
    received.set_value(request.value_or(ReceivedRequest{}));
  });
  Allow(receiver);
  settings_.secrets = {kSecret, kOtherSecret};
  Start();
  const WallTime before = clock_.Now();
  Put(UrlOf(receiver));
  RunUntilSettled(1);
  EXPECT_THAT(outbox_.closed, ElementsAre(1u));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kDelivered));

  const ReceivedRequest request = received.get_future().get();
  EXPECT_THAT(request.head, HasSubstr("POST /path?token=s3cret HTTP/1.1\r\n"));
  EXPECT_EQ(request.body, fmt::format(R"({{"id":"{}"}})", SampleDigest(1).Hex()));
  EXPECT_EQ(request.Field("Content-Type"), "application/json");
  EXPECT_EQ(request.Field("User-Agent"), "lazaret/" LAZARET_VERSION);
  EXPECT_EQ(request.Field("webhook-id"), "msg_1");
  const std::string stamp = request.Field("webhook-timestamp");
  std::int64_t time = 0;
  std::from_chars(stamp.data(), stamp.data() + stamp.size(), time);
  EXPECT_GE(time, std::chrono::floor<seconds>(before).time_since_epoch().count());
  EXPECT_LE(time, std::chrono::floor<seconds>(clock_.Now()).time_since_epoch().count());
  EXPECT_EQ(request.Field("webhook-signature"),
            ExpectedSignature(kSecret, request) + ' ' + ExpectedSignature(kOtherSecret, request));
}

// What becomes of a message whose receiver answers `status`.
class DelivererStatusTest : public DelivererTest, public testing::WithParamInterface<int> {
 protected:
  void Deliver(std::uint32_t attempts) {
    Receiver receiver([&](Peer& peer) {
      ReadRequest(peer);
      peer.Write(Answer(GetParam()));
    });
    Allow(receiver);
    Start();
    Put(UrlOf(receiver), attempts);
    RunUntilSettled(1);
    EXPECT_EQ(receiver.connections(), 1u);
  }
};
class DelivererSuccess : public DelivererStatusTest {};
class DelivererFailure : public DelivererStatusTest {};
INSTANTIATE_TEST_SUITE_P(Status, DelivererSuccess, testing::Values(200, 201, 202, 204, 299));
INSTANTIATE_TEST_SUITE_P(Status, DelivererFailure,
                         testing::Values(300, 301, 302, 307, 308, 400, 401, 404, 409, 411, 429, 500, 503));

TEST_P(DelivererSuccess, Closes) {
  Deliver(3);
  EXPECT_THAT(outbox_.closed, ElementsAre(1u));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kDelivered));
}

TEST_P(DelivererFailure, IsTriedAgain) {
  Deliver(3);
  ASSERT_TRUE(outbox_.postponed.contains(1));
  // The fourth pause, moved by up to a fifth.
  EXPECT_THAT(outbox_.postponed[1], AllOf(Ge(std::chrono::minutes(8)), Le(std::chrono::minutes(12))));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kFailed));
}

TEST_F(DelivererTest, GivesUpWhenTheReceiverIsGone) {
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(410));
  });
  Allow(receiver);
  Start();
  Put(UrlOf(receiver));
  RunUntilSettled(1);
  EXPECT_THAT(outbox_.closed, ElementsAre(1u));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kGivenUp));
}

TEST_F(DelivererTest, GivesUpAfterSoManyAttempts) {
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(500));
  });
  Allow(receiver);
  settings_.attempts = 12;
  Start();
  Put(UrlOf(receiver), 10);
  RunUntilSettled(1);
  EXPECT_TRUE(outbox_.postponed.contains(1));
  Put(UrlOf(receiver), 11);
  RunUntilSettled(2);
  EXPECT_THAT(outbox_.closed, ElementsAre(2u));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kFailed, DeliveryEvent::kGivenUp));
}

TEST_F(DelivererTest, GivesUpWhatThePolicyDoesNotAllowAnyMore) {
  Receiver receiver([](Peer&) {});
  settings_.hosts = {"other.example"};
  Start();
  Put(UrlOf(receiver));
  Put("not a url");
  RunUntilSettled(2);
  EXPECT_THAT(outbox_.closed, ElementsAre(1u, 2u));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kGivenUp, DeliveryEvent::kGivenUp));
  EXPECT_EQ(receiver.connections(), 0u);
}

TEST_F(DelivererTest, GivesUpEverythingWhenCallbacksAreOff) {
  settings_ = {};
  Start();
  Put("https://hooks.example/");
  RunUntilSettled(1);
  EXPECT_THAT(outbox_.closed, ElementsAre(1u));
  EXPECT_FALSE(deliverer_->policy().is_on());
}

TEST_F(DelivererTest, TriesAgainWhenTheHostLeadsToAPrivateAddress) {
  Receiver receiver([](Peer&) {});
  Allow(receiver);
  settings_.private_networks.clear();
  Start();
  Put(UrlOf(receiver));
  RunUntilSettled(1);
  EXPECT_TRUE(outbox_.postponed.contains(1));
  EXPECT_EQ(receiver.connections(), 0u);
}

TEST_F(DelivererTest, CountsABodyThatCannotBeMadeAsAFailure) {
  Receiver receiver([](Peer&) {});
  Allow(receiver);
  make_body_ = [](const Delivery&) -> std::string { throw std::runtime_error("broken"); };
  Start();
  Put(UrlOf(receiver));
  RunUntilSettled(1);
  EXPECT_TRUE(outbox_.postponed.contains(1));
  EXPECT_THAT(events_.seen, ElementsAre(DeliveryEvent::kFailed));
}

TEST_F(DelivererTest, PostsSoManyAtOnceToOneHost) {
  Gate gate;
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    gate.Pass();
    peer.Write(Answer(200));
  });
  Allow(receiver);
  Start();
  for (int i = 0; i < 12; ++i) Put(UrlOf(receiver));
  RunUntil([&] { return gate.inside() == 4 && outbox_.leased.size() == 12; });
  EXPECT_EQ(deliverer_->under_way(), 4u);
  gate.Open();
  RunUntilSettled(12);
  EXPECT_EQ(gate.most(), 4u);
  EXPECT_EQ(outbox_.closed.size(), 12u);
}

TEST_F(DelivererTest, PostsSoManyAtOnceInAll) {
  Gate gate;
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    gate.Pass();
    peer.Write(Answer(200));
  });
  settings_.hosts = {fmt::format("*.example:{}", receiver.port())};
  Start();
  for (int i = 0; i < 40; ++i) Put(UrlOf(receiver, fmt::format("host{}.example", i)));
  RunUntil([&] { return gate.inside() == 32 && outbox_.leased.size() == 40; });
  EXPECT_EQ(deliverer_->under_way(), 32u);
  gate.Open();
  RunUntilSettled(40);
  EXPECT_EQ(gate.most(), 32u);
}

TEST_F(DelivererTest, ASlowHostDoesNotHoldUpTheOthers) {
  Receiver slow([](Peer& peer) { peer.ReadToEnd(); });
  Receiver quick([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  Allow(slow, "slow.example");
  Allow(quick, "quick.example");
  Start();
  const int many = 300;  // more than may wait for one host
  for (int i = 0; i < many; ++i) Put(UrlOf(slow, "slow.example"));
  for (int i = 0; i < 20; ++i) Put(UrlOf(quick, "quick.example"));
  RunUntil([&] { return outbox_.closed.size() == 20; });
  EXPECT_TRUE(outbox_.postponed.empty());
  EXPECT_EQ(slow.connections(), 4u);
  // So many are under way or wait; the others are not kept from the outbox until their leases end.
  EXPECT_EQ(outbox_.leased.size(), 4u + 256u);
  ASSERT_EQ(outbox_.returned.size(), 300u - 4 - 256);
  for (const auto& [number, pause] : outbox_.returned) EXPECT_EQ(pause, seconds(30));
}

TEST_F(DelivererTest, KeepsAMessageNoLongerThanItsLease) {
  settings_.timeout = seconds(7);
  Start();
  RunUntil([&] { return outbox_.last_lease > milliseconds(0); });
  EXPECT_EQ(outbox_.last_lease, seconds(40 + 7 + 15));
}

TEST_F(DelivererTest, TimesAnAttemptOut) {
  Receiver silent([](Peer& peer) { peer.ReadToEnd(); });
  Allow(silent);
  settings_.timeout = milliseconds(100);
  Start();
  Put(UrlOf(silent));
  RunUntilSettled(1);
  EXPECT_TRUE(outbox_.postponed.contains(1));
}

TEST_F(DelivererTest, GoesOnWhenTheOutboxComesBack) {
  Receiver receiver([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  Allow(receiver);
  outbox_.take_failures = 2;
  outbox_.close_failures = 1;
  testing::internal::CaptureStderr();
  Start();
  Put(UrlOf(receiver));
  RunUntilSettled(1);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(outbox_.closed, ElementsAre(1u));
  EXPECT_EQ(receiver.connections(), 1u);  // not posted again because Close failed
  const auto count = [&](std::string_view phrase) {
    std::size_t found = 0;
    for (std::size_t at = log.find(phrase); at != log.npos; at = log.find(phrase, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("callbacks cannot be read or recorded"), 2u) << log;  // not at every failure: at every change
  EXPECT_EQ(count("callbacks go on"), 2u) << log;
}

TEST_F(DelivererTest, LetsPostsEndWhenItStops) {
  Gate gate;
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    gate.Pass();
    peer.Write(Answer(200));
  });
  Allow(receiver);
  Start();
  for (int i = 0; i < 6; ++i) Put(UrlOf(receiver));
  RunUntil([&] { return gate.inside() == 4 && outbox_.leased.size() == 6; });
  auto stopped = asio::co_spawn(io_, deliverer_->Stop(clock_.SteadyNow() + kPatience), asio::use_future);
  asio::post(io_, [&] { gate.Open(); });
  RunUntil([&] { return stopped.wait_for(seconds(0)) == std::future_status::ready; });
  EXPECT_EQ(outbox_.closed.size(), 4u);
  EXPECT_EQ(outbox_.leased.size(), 2u);  // those that waited for their turn
  EXPECT_EQ(receiver.connections(), 4u);
  deliverer_.reset();
}

TEST_F(DelivererTest, CutsPostsOffAtTheDeadlineOfAStop) {
  Gate gate;
  Receiver receiver([&](Peer& peer) {
    ReadRequest(peer);
    gate.Pass();
    peer.ReadToEnd();
  });
  Allow(receiver);
  Start();
  for (int i = 0; i < 2; ++i) Put(UrlOf(receiver));
  RunUntil([&] { return gate.inside() == 2; });
  Stop(milliseconds(50));
  gate.Open();
  EXPECT_THAT(outbox_.leased, UnorderedElementsAre(1u, 2u));
  EXPECT_THAT(outbox_.closed, IsEmpty());
  EXPECT_TRUE(outbox_.postponed.empty());
  EXPECT_THAT(events_.seen, IsEmpty());
}

TEST_F(DelivererTest, LogsNoSecretsAndNoNames) {
  Receiver receiver([&](Peer& peer) {
    const auto request = ReadRequest(peer);
    peer.Write(Answer(request && request->Field("webhook-id") == "msg_1" ? 200 : 410));
  });
  Allow(receiver);
  settings_.attempts = 2;
  testing::internal::CaptureStderr();
  Start();
  Put(UrlOf(receiver));
  Put(UrlOf(receiver));
  Put("https://elsewhere.example/s3cret");
  Put("https://user:s3cret@hooks.example/");
  Put("http://hooks.example:1/s3cret");
  RunUntilSettled(5);
  Stop(seconds(0));
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("callback delivered host=hooks.example message=msg_1"));
  EXPECT_THAT(log, HasSubstr("callback given up host=hooks.example message=msg_2"));
  EXPECT_THAT(log, HasSubstr("answered with status 410"));
  EXPECT_THAT(log, HasSubstr("elsewhere.example"));
  EXPECT_THAT(log, Not(HasSubstr("s3cret")));
  EXPECT_THAT(log, Not(HasSubstr("payroll")));
}

TEST(Deliverer, IsNotMadeOfBadSettings) {
  asio::io_context io;
  const SystemClock clock;
  Log log(LogFormat::kText, LogLevel::kError);
  Telemetry telemetry;
  TestOutbox outbox;
  const auto why_not = [&](Settings settings) {
    const auto made = Deliverer::Make(std::move(settings), outbox, {}, io.get_executor(), clock, log, telemetry);
    return made ? "" : made.error().what;
  };
  EXPECT_THAT(why_not({.hosts = {"*"}}), HasSubstr("webhook.hosts"));
  EXPECT_THAT(why_not({.hosts = {"hooks.example"}}), HasSubstr("webhook.secret_file"));
  EXPECT_THAT(why_not({.ca_file = "/nonexistent"}), HasSubstr("webhook.ca_file"));
  EXPECT_THAT(why_not({.attempts = 0}), HasSubstr("webhook.attempts"));
  EXPECT_EQ(why_not({}), "");
}

}  // namespace
}  // namespace lazaret::webhook
