#include "webhook/callback_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace lazaret::webhook {
namespace {

namespace ip = boost::asio::ip;
using testing::HasSubstr;
using testing::Not;
using Texts = std::vector<std::string>;

CallbackPolicy MakePolicy(const Texts& hosts, const Texts& private_networks = {}) {
  auto policy = CallbackPolicy::Parse(hosts, private_networks);
  if (!policy) throw std::runtime_error(policy.error().what);
  return *std::move(policy);
}

std::string WhyNot(const CallbackPolicy& policy, std::string_view url) {
  const auto checked = policy.Check(url);
  if (checked) return "";
  EXPECT_EQ(checked.error().code, Errc::kMalformed);
  return checked.error().what;
}

const Texts kHosts = {"hooks.example.com",   "*.example.org", "other.example:8443", "1.1.1.1",
                      "[2606:4700::1]:8080", "2606:4700::2",  "my_service"};

TEST(CallbackPolicy, IsOffWithoutHosts) {
  const CallbackPolicy policy = MakePolicy({}, {"127.0.0.1"});
  EXPECT_FALSE(policy.is_on());
  EXPECT_THAT(WhyNot(policy, "https://hooks.example.com/"), HasSubstr("webhook.hosts"));
  EXPECT_TRUE(MakePolicy(kHosts).is_on());
}

TEST(CallbackPolicy, AllowsTheHostsThatAreListed) {
  const CallbackPolicy policy = MakePolicy(kHosts);
  for (const char* url : {
           "https://hooks.example.com",
           "http://hooks.example.com/",
           "https://hooks.example.com:443/a/b?c=d&e=%0a",
           "http://hooks.example.com:80/x",
           "HTTPS://HOOKS.Example.COM/x",
           "https://a.example.org/",
           "https://a.b.example.org/",
           "https://xn--mller-kva.example.org/",
           "https://other.example:8443/",
           "http://other.example:8443/",
           "https://1.1.1.1/",
           "http://[2606:4700::1]:8080/",
           "http://[2606:4700:0:0:0:0:0:1]:8080/",
           "https://[2606:4700::2]/",
           "http://my_service/",
       }) {
    EXPECT_EQ(WhyNot(policy, url), "") << url;
  }
}

TEST(CallbackPolicy, RefusesEveryOtherHost) {
  const CallbackPolicy policy = MakePolicy(kHosts);
  for (const char* url : {
           "https://example.com/",
           "https://example.org/",
           "https://xexample.org/",
           "https://hooks.example.com.evil.net/",
           "https://a.hooks.example.com/",
           "https://evil.net/hooks.example.com",
           "https://evil.net/?hooks.example.com",
           "https://evil.net?x=.example.org",
           "https://1.1.1.2/",
           "https://[2606:4700::3]/",
           "https://[::ffff:1.1.1.1]/",
           "https://[::1.1.1.1]/",
           "https://localhost/",
           "https://127.0.0.1/",
           "https://[::1]/",
           "https://[::ffff:127.0.0.1]/",
       }) {
    EXPECT_THAT(WhyNot(policy, url), HasSubstr("webhook.hosts")) << url;
  }
}

TEST(CallbackPolicy, RefusesPortsThatAreNotListed) {
  const CallbackPolicy policy = MakePolicy(kHosts);
  for (const char* url : {"https://hooks.example.com:8443/", "https://hooks.example.com:80/",
                          "http://hooks.example.com:443/", "https://other.example/", "https://other.example:443/",
                          "http://[2606:4700::1]/", "https://a.example.org:22/"}) {
    EXPECT_THAT(WhyNot(policy, url), HasSubstr("webhook.hosts must name the host with this port")) << url;
  }
  for (const char* url :
       {"https://hooks.example.com:0/", "https://hooks.example.com:/", "https://hooks.example.com:65536/",
        "https://hooks.example.com:000443/", "https://hooks.example.com:4294967739/"}) {
    EXPECT_THAT(WhyNot(policy, url), HasSubstr("a number from 1 to 65535")) << url;
  }
}

TEST(CallbackPolicy, TakesTheSameHostWithSeveralPorts) {
  const CallbackPolicy policy = MakePolicy({"h.example:1", "h.example:65535"});
  EXPECT_EQ(WhyNot(policy, "https://h.example:1/"), "");
  EXPECT_EQ(WhyNot(policy, "https://h.example:65535/"), "");
  EXPECT_NE(WhyNot(policy, "https://h.example:2/"), "");
}

// As browsers, inet_aton(3) and curl read them.
TEST(CallbackPolicy, RefusesOddSpellings) {
  // Whatever these are taken for, a pattern that allows much must not let them through.
  const CallbackPolicy policy = MakePolicy({"*.example.com", "hooks.example.com", "*.com", "*.net", "127.0.0.1"},
                                           {"127.0.0.0/8", "::ffff:0:0/96"});
  ASSERT_EQ(WhyNot(policy, "http://127.0.0.1/"), "");
  for (const char* url : {
           "http://2130706433/",
           "http://0x7f000001/",
           "http://0x7f.1/",
           "http://0X7F.1/",
           "http://127.1/",
           "http://127.0.1/",
           "http://0177.0.0.1/",
           "http://017700000001/",
           "http://127.0.0.01/",
           "http://127.0.0.1./",
           "http://127.0.0.0x1/",
           "http://127.0.0.256/",
           "http://127.0.0.1.1/",
           "http://127.0.0.1.evil.net/",
           "http://127.0.0.1evil.net/",
           "http://%31%32%37.0.0.1/",
           "http://0x/",
           "http://0x.example.0x/",
           "http://[::ffff:127.0.0.1]/",
           "http://[::ffff:7f00:1]/",
           "http://[::127.0.0.1]/",
           "http://[fe80::1%25eth0]/",
           "http://[fe80::1%eth0]/",
           "http://[v1.a]/",
           "http://[127.0.0.1]/",
           "http://[hooks.example.com]/",
           "http://hooks.example.com./",
           "http://hooks.example.com../",
           "http://.hooks.example.com/",
           "http://.com/",
           "http://com/",
           "http://hooks..example.com/",
           "http://-a.example.com/",
           "http://a-.example.com/",
           "http://a*.example.com/",
           "http://*.example.com/",
           "http://hooks%2Eexample.com/",
           "http://hooks.example.com%00.evil.net/",
           "http://hooks.example.com%2f.evil.net/",
           "http://h\xC3\xB6.example.com/",
           "http://hooks\xE3\x80\x82"
           "example.com/",
           "http://\xE2\x91\xA0.example.com/",
           "http://hooks.example.com\xE3\x80\x82/",
       }) {
    EXPECT_NE(WhyNot(policy, url), "") << url;
  }
}

TEST(CallbackPolicy, RefusesWhatIsNoPlainHttpUrl) {
  const CallbackPolicy policy = MakePolicy({"hooks.example.com"});
  const std::pair<std::string, const char*> cases[] = {
      {"", "not a URL"},
      {"hooks.example.com", "not a URL"},
      {"/relative", "not a URL"},
      {"//hooks.example.com/", "not a URL"},
      {"https:", "no host"},
      {"https:///", "no host"},
      {"https:hooks.example.com", "no host"},
      {"https:/hooks.example.com", "no host"},
      {"https://:443/", "no host"},
      {"ftp://hooks.example.com/", "must begin with https://"},
      {"file:///etc/passwd", "must begin with https://"},
      {"gopher://hooks.example.com/", "must begin with https://"},
      {"httpss://hooks.example.com/", "must begin with https://"},
      {"javascript:alert(1)", "must begin with https://"},
      {"https://user@hooks.example.com/", "user name"},
      {"https://user:secret@hooks.example.com/", "user name"},
      {"https://@hooks.example.com/", "user name"},
      {"https://hooks.example.com@evil.net/", "user name"},
      {"https://hooks.example.com#@evil.net/", "fragment"},
      {"https://hooks.example.com/#", "fragment"},
      {"https://hooks.example.com/#x", "fragment"},
      {"https://evil.net\\@hooks.example.com/", "not a URL"},
      {"https://hooks.example.com\\.evil.net/", "not a URL"},
      {"https://hooks.example.com/a b", "percent-encode"},
      {" https://hooks.example.com/", "percent-encode"},
      {"https://hooks.example.com/\r\nHost: evil.net", "percent-encode"},
      {"https://hooks.example.com/\t", "percent-encode"},
      {"https://hooks.example.com/\x7f", "percent-encode"},
      {std::string("https://hooks.example.com/\0", 27), "percent-encode"},
      {"https://hooks.example.com/\xC3\xA4", "percent-encode"},
      {"https://hooks.example.com/%", "not a URL"},
      {"https://hooks.example.com/<x>", "not a URL"},
      {"https://hooks.example.com:8 0/", "percent-encode"},
      {"https://hooks.example.com:http/", "a number from 1 to 65535"},
      {"https://hooks.example.com:443x/", "not a URL"},
      {"https://hooks.example.com:443.evil.net/", "not a URL"},
  };
  for (const auto& [url, what] : cases) EXPECT_THAT(WhyNot(policy, url), HasSubstr(what)) << url;
}

TEST(CallbackPolicy, LimitsTheLength) {
  const CallbackPolicy policy = MakePolicy({"hooks.example.com"});
  std::string url = "https://hooks.example.com/?";
  url.append(2048 - url.size(), 'a');
  EXPECT_EQ(WhyNot(policy, url), "");
  EXPECT_THAT(WhyNot(policy, url + 'a'), HasSubstr("2049 bytes; 2048 are allowed"));
}

TEST(CallbackPolicy, LimitsNamesAndLabels) {
  const CallbackPolicy policy = MakePolicy({"*.example.com"});
  const std::string label63(63, 'a');
  EXPECT_EQ(WhyNot(policy, "https://" + label63 + ".example.com/"), "");
  EXPECT_NE(WhyNot(policy, "https://" + label63 + "a.example.com/"), "");
  const std::string labels = label63 + '.' + label63 + '.' + label63 + '.';  // 192
  const std::string rest = std::string(253 - 192 - 12, 'b') + ".example.com";
  EXPECT_EQ(WhyNot(policy, "https://" + labels + rest), "");
  EXPECT_THAT(WhyNot(policy, "https://" + labels + 'b' + rest), HasSubstr("253 characters"));
}

TEST(CallbackPolicy, NeverRepeatsMoreThanTheHost) {
  const CallbackPolicy policy = MakePolicy({"hooks.example.com"});
  for (const char* url :
       {"https://evil.net/?token=s3cret", "https://u:s3cret@hooks.example.com/", "s3cret", "https://h/#s3cret",
        "https://hooks.example.com:99/s3cret", "ftp://h/s3cret", "https://127.1/s3cret"}) {
    EXPECT_THAT(WhyNot(policy, url), Not(HasSubstr("s3cret"))) << url;
  }
}

TEST(CallbackPolicy, TakesAnAllowedUrlApart) {
  const CallbackPolicy policy = MakePolicy(kHosts);
  const auto plain = policy.Accept("HTTP://Hooks.Example.Com?token=A%2Fb");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->host, "hooks.example.com");
  EXPECT_EQ(plain->address, std::nullopt);
  EXPECT_EQ(plain->port, 80);
  EXPECT_EQ(plain->target, "/?token=A%2Fb");
  EXPECT_EQ(plain->HostField(), "hooks.example.com");
  const auto secure = policy.Accept("https://other.example:8443/a/../b");
  ASSERT_TRUE(secure);
  EXPECT_TRUE(secure->tls);
  EXPECT_EQ(secure->target, "/a/../b");
  EXPECT_EQ(secure->HostField(), "other.example:8443");
  const auto literal = policy.Accept("http://[2606:4700:0::1]:8080");
  ASSERT_TRUE(literal);
  EXPECT_EQ(literal->address, ip::make_address("2606:4700::1"));
  EXPECT_EQ(literal->target, "/");
  EXPECT_EQ(literal->HostField(), "[2606:4700::1]:8080");
}

TEST(CallbackPolicy, NeedsPrivateAddressesInBothLists) {
  EXPECT_THAT(WhyNot(MakePolicy({"127.0.0.1", "[fd00::1]"}), "http://127.0.0.1/"),
              HasSubstr("webhook.private_networks"));
  EXPECT_THAT(WhyNot(MakePolicy({"127.0.0.1", "[fd00::1]"}), "http://[fd00::1]/"),
              HasSubstr("webhook.private_networks"));
  EXPECT_THAT(WhyNot(MakePolicy({"[::ffff:10.0.0.1]"}), "http://[::ffff:10.0.0.1]/"),
              HasSubstr("webhook.private_networks"));
  EXPECT_EQ(WhyNot(MakePolicy({"127.0.0.1"}, {"127.0.0.0/8"}), "http://127.0.0.1/"), "");
  EXPECT_THAT(WhyNot(MakePolicy({"h.example"}, {"127.0.0.0/8"}), "http://127.0.0.1/"), HasSubstr("webhook.hosts"));
}

TEST(CallbackPolicy, ConnectsToPublicAndListedAddressesOnly) {
  const CallbackPolicy policy = MakePolicy(kHosts, {"10.1.0.0/16", "fd12::/16", "127.0.0.1"});
  for (const char* address :
       {"1.1.1.1", "2606:4700::1", "10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1"}) {
    EXPECT_TRUE(policy.MayConnect(ip::make_address(address))) << address;
  }
  for (const char* address :
       {"10.0.255.255", "10.2.0.0", "127.0.0.2", "::1", "fd13::1", "::ffff:10.2.0.0", "64:ff9b::a01:1", "2002:a01:1::1",
        "::10.1.0.1", "0.0.0.0", "::", "255.255.255.255", "169.254.169.254"}) {
    EXPECT_FALSE(policy.MayConnect(ip::make_address(address))) << address;
  }
}

TEST(CallbackPolicy, NamesTheSettingThatIsWrong) {
  const std::pair<const char*, const char*> hosts[] = {
      {"", "not a host name"},
      {"*", "a star can only stand in front"},
      {"*.", "not a host name"},
      {"a.*.example.com", "a star can only stand in front"},
      {"*example.com", "a star can only stand in front"},
      {"*.*.example.com", "a star can only stand in front"},
      {"https://hooks.example.com", "without scheme"},
      {"hooks.example.com/path", "without scheme"},
      {"10.0.0.0/8", "without scheme"},
      {"hooks.example.com.", "ends with a dot"},
      {"hooks.example.com:", "the port must be"},
      {"hooks.example.com:0", "the port must be"},
      {"hooks.example.com:65536", "the port must be"},
      {"hooks.example.com:https", "the port must be"},
      {"hooks example.com", "not a host name"},
      {"h\xC3\xB6.example.com", "xn--"},
      {"2130706433", "neither a name nor an address"},
      {"127.1", "neither a name nor an address"},
      {"*.0x1", "neither a name nor an address"},
      {"[hooks.example.com]", "IPv6 address stands in brackets"},
      {"[1.1.1.1]", "IPv6 address stands in brackets"},
      {"[::1", "not a host name"},
      {"fe80::1%eth0", "not a host name"},
  };
  for (const auto& [text, what] : hosts) {
    const auto policy = CallbackPolicy::Parse({"fine.example", text}, {});
    ASSERT_FALSE(policy) << text;
    EXPECT_THAT(policy.error().what, testing::AllOf(HasSubstr("webhook.hosts"), HasSubstr(text), HasSubstr(what)));
  }
  const auto policy = CallbackPolicy::Parse({"fine.example"}, {"10.0.0.0/33"});
  ASSERT_FALSE(policy);
  EXPECT_THAT(policy.error().what, HasSubstr("webhook.private_networks: \"10.0.0.0/33\""));
}

}  // namespace
}  // namespace lazaret::webhook
