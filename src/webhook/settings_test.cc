#include "webhook/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace lazaret::webhook {
namespace {

using testing::HasSubstr;

Settings Good() { return {.hosts = {"hooks.example.com"}, .secrets = {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"}}; }

std::string WhyNot(const std::function<void(Settings&)>& change) {
  Settings settings = Good();
  change(settings);
  const auto checked = CheckSettings(settings);
  return checked ? "" : checked.error().what;
}

TEST(WebhookSettings, MayBeLeftAlone) { EXPECT_TRUE(CheckSettings({})); }

TEST(WebhookSettings, NeedASecretForCallbacks) {
  EXPECT_EQ(WhyNot([](Settings&) {}), "");
  EXPECT_THAT(WhyNot([](Settings& s) { s.secrets.clear(); }), HasSubstr("webhook.secret_file has nothing to sign"));
}

TEST(WebhookSettings, NameWhatIsWrong) {
  EXPECT_THAT(WhyNot([](Settings& s) { s.hosts.push_back("*"); }), HasSubstr("webhook.hosts"));
  EXPECT_THAT(WhyNot([](Settings& s) { s.private_networks = {"10/8"}; }), HasSubstr("webhook.private_networks"));
  EXPECT_THAT(WhyNot([](Settings& s) { s.secrets.push_back("secret"); }), HasSubstr("webhook.secret_file: number 2"));
}

TEST(WebhookSettings, HaveRanges) {
  const auto attempts = [](std::uint32_t value) { return WhyNot([=](Settings& s) { s.attempts = value; }); };
  EXPECT_THAT(attempts(0), HasSubstr("webhook.attempts must be from 1 to 100"));
  EXPECT_EQ(attempts(1), "");
  EXPECT_EQ(attempts(100), "");
  EXPECT_THAT(attempts(101), HasSubstr("webhook.attempts"));
  const auto timeout = [](milliseconds value) { return WhyNot([=](Settings& s) { s.timeout = value; }); };
  EXPECT_THAT(timeout(milliseconds(0)), HasSubstr("webhook.timeout must be from 1 to 300000 ms"));
  EXPECT_EQ(timeout(milliseconds(1)), "");
  EXPECT_EQ(timeout(milliseconds(300'000)), "");
  EXPECT_THAT(timeout(milliseconds(300'001)), HasSubstr("webhook.timeout"));
  const auto concurrency = [](std::size_t value, std::size_t per_host) {
    return WhyNot([=](Settings& s) {
      s.concurrency = value;
      s.concurrency_per_host = per_host;
    });
  };
  EXPECT_THAT(concurrency(0, 1), HasSubstr("webhook.concurrency must be from 1 to 1000"));
  EXPECT_EQ(concurrency(1, 1), "");
  EXPECT_EQ(concurrency(1000, 1000), "");
  EXPECT_THAT(concurrency(1001, 1), HasSubstr("webhook.concurrency must"));
  EXPECT_THAT(concurrency(4, 0), HasSubstr("webhook.concurrency_per_host must be from 1 to 4"));
  EXPECT_THAT(concurrency(4, 5), HasSubstr("webhook.concurrency_per_host"));
}

}  // namespace
}  // namespace lazaret::webhook
