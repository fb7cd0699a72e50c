// A server whose signatures change while clients scan.
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "integration/server_fixture.h"

namespace lazaret::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RestSignatures : public ServerTest {
 protected:
  static std::vector<std::string> QuickToNotice(std::vector<std::string> more = {}) {
    std::vector<std::string> all = {"--set", "signatures.settle=50ms"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void Put(const std::string& name, const std::string& text) const {
    root_.Write("incoming", text);
    fs::rename(root_ / "incoming", root_ / "signatures" / name);
  }
  static std::string FindsNeedle(int number) {
    std::string line = fmt::format("Test.Needle{}:0:*:", number);
    for (const char c : fmt::format("needle number {};", number))
      line += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return line + "\n";
  }
  bool VerdictBecomes(const std::string& content, const std::string& verdict) const {
    return Eventually([&] {
      const auto answer = Post(port(), "/v1/scan", content);
      EXPECT_THAT(answer, HasStatus(200)) << "no request fails";
      return answer && TextOf(ParseJson(*answer), "verdict") == verdict;
    });
  }
};

// Clients that scan contents of their own all the time.
class Crowd {
 public:
  Crowd(std::uint16_t port, int clients) {
    for (int client = 0; client < clients; ++client) {
      threads_.emplace_back([this, port, client](const std::stop_token& stop) {
        for (unsigned i = 0; !stop.stop_requested(); ++i) {
          const auto answer = Post(port, "/v1/scan", fmt::format("client {} content {}", client, i));
          ++requests_;
          if (!answer || answer->status != 200 || TextOf(ParseJson(*answer), "verdict") != "clean") {
            ++failures_;
            ADD_FAILURE() << testing::PrintToString(answer);
          }
        }
      });
    }
  }
  void Stop() { threads_.clear(); }
  unsigned requests() const { return requests_; }
  unsigned failures() const { return failures_; }

 private:
  std::atomic<unsigned> requests_ = 0;
  std::atomic<unsigned> failures_ = 0;
  std::vector<std::jthread> threads_;
};

TEST_F(RestSignatures, ChangeWithoutAFailedRequest) {
  int number = 0;
  for (const char* mode : {"beside", "drain"}) {
    Start(QuickToNotice({"--set", std::string("signatures.reload=") + mode, "--scanners", "2"}));
    Crowd crowd(port(), 4);
    for (const int last = number + 8; number < last; ++number) {
      const unsigned before = crowd.requests();
      Put(fmt::format("needle{}.ndb", number), FindsNeedle(number));
      EXPECT_TRUE(VerdictBecomes(fmt::format("a needle number {}; here", number), "infected")) << number;
      EXPECT_TRUE(Eventually([&] { return crowd.requests() > before + 20; }));
    }
    crowd.Stop();
    EXPECT_EQ(crowd.failures(), 0u) << "of " << crowd.requests();
    EXPECT_TRUE(MetricBecomes("lazaret_signature_changes_total{event=\"loaded\"}", 9)) << "the first and eight more";
    EXPECT_EQ(Metric("lazaret_zygote_restarts_total"), 0);
  }
}

TEST_F(RestSignatures, ThatAreRefusedAreSaidAndCounted) {
  Start(QuickToNotice());
  Crowd crowd(port(), 2);
  Put("bad.ndb", "this is no signature\n");
  const auto line = server().WaitForLog("signatures refused");
  ASSERT_TRUE(line);
  EXPECT_THAT(*line, HasSubstr("does-not-load"));
  EXPECT_THAT(*line, HasSubstr("Malformed database"));
  EXPECT_EQ(Metric("lazaret_signature_changes_total{event=\"refused\"}"), 1);
  EXPECT_THAT(Post(port(), "/v1/scan", Eicar()), HasVerdict("infected"));
  crowd.Stop();
  EXPECT_EQ(crowd.failures(), 0u);
}

TEST_F(RestSignatures, AnAllowListMakesCachedVerdictsStaleAtOnce) {
  Put("needle.ndb", FindsNeedle(1));
  Start(QuickToNotice());
  const std::string content = "a needle number 1; here";
  ASSERT_THAT(Post(port(), "/v1/scan", content), HasVerdict("infected"));
  const auto cached = Post(port(), "/v1/scan", content);
  ASSERT_TRUE(ParseJson(*cached).at("cached").as_bool());
  Put("local.ign2", "Test.Needle1\n");
  EXPECT_TRUE(VerdictBecomes(content, "clean"));
  fs::remove(root_ / "signatures/local.ign2");
  EXPECT_TRUE(VerdictBecomes(content, "infected"));
}

}  // namespace
}  // namespace lazaret::tests
