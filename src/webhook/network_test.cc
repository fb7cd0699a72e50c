#include "webhook/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lazaret::webhook {
namespace {

namespace ip = boost::asio::ip;
using testing::HasSubstr;

bool PublicText(const std::string& text) { return IsPublic(ip::make_address(text)); }

// First and last address of every block that is not public, and their neighbours that are.
struct Edge {
  const char* first;
  const char* last;
  const char* before;  // empty when the neighbour is not public either
  const char* after;
};
constexpr Edge kBlocks4[] = {
    {"0.0.0.0", "0.255.255.255", "", "1.0.0.0"},
    {"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
    {"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
    {"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
    {"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
    {"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
    {"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
    {"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
    {"192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
    {"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
    {"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
    {"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
    {"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
    {"224.0.0.0", "239.255.255.255", "223.255.255.255", ""},
    {"240.0.0.0", "255.255.255.255", "", ""},
};
constexpr Edge kBlocks6[] = {
    {"::", "::fffe:ffff:ffff", "", ""},  // unspecified, loopback, IPv4-compatible
    {"::1:0:0:0", "64:ff9b::7fff:ffff:ffff:ffff", "", ""},
    {"64:ff9b:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "2000::"},
    {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"},
    {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
    {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"},
    {"4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
    {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},  // unique local
    {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},  // link-local
    {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},  // site-local
    {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},  // multicast
};

void ExpectEdges(const Edge& block) {
  EXPECT_FALSE(PublicText(block.first)) << block.first;
  EXPECT_FALSE(PublicText(block.last)) << block.last;
  for (const char* neighbour : {block.before, block.after}) {
    if (*neighbour != '\0') EXPECT_TRUE(PublicText(neighbour)) << neighbour;
  }
}

TEST(IsPublic, KnowsTheEdgesOfEverySpecialBlock) {
  for (const Edge& block : kBlocks4) ExpectEdges(block);
  for (const Edge& block : kBlocks6) ExpectEdges(block);
}

TEST(IsPublic, TakesTheInternetForPublic) {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "93.184.216.34", "172.217.16.142", "2606:4700:4700::1111",
                           "2a00:1450:4001:800::200e", "2620:fe::fe"}) {
    EXPECT_TRUE(PublicText(text)) << text;
  }
}

std::string Hex4(ip::address_v4 address) {
  const auto b = address.to_bytes();
  char text[16];
  std::snprintf(text, sizeof text, "%02x%02x:%02x%02x", b[0], b[1], b[2], b[3]);
  return text;
}

TEST(IsPublic, LooksIntoAddressesThatHoldAnother) {
  std::vector<std::pair<std::string, bool>> inner = {{"1.1.1.1", true}, {"203.0.112.255", true}};
  for (const Edge& block : kBlocks4) {
    inner.emplace_back(block.first, false);
    inner.emplace_back(block.last, false);
  }
  for (const auto& [text, is_public] : inner) {
    const std::string hex = Hex4(ip::make_address_v4(text));
    EXPECT_EQ(PublicText("::ffff:" + text), is_public) << "mapped " << text;
    EXPECT_EQ(PublicText("64:ff9b::" + hex), is_public) << "NAT64 " << text;
    EXPECT_EQ(PublicText("2002:" + hex + "::1"), is_public) << "6to4 " << text;
    EXPECT_FALSE(PublicText("::" + hex)) << "compatible " << text;
    EXPECT_FALSE(PublicText("2001:0:" + hex + "::1")) << "Teredo " << text;
  }
}

TEST(IsPublic, KnowsNoZones) { EXPECT_FALSE(PublicText("fe80::1%1")); }

bool Holds(std::string_view network, const std::string& address) {
  const auto parsed = Network::Parse(network);
  if (!parsed) throw std::runtime_error(parsed.error().what);
  return parsed->Contains(ip::make_address(address));
}

TEST(Network, HoldsExactlyItsAddresses) {
  EXPECT_TRUE(Holds("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(Holds("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(Holds("10.0.0.128/25", "10.0.0.128"));
  EXPECT_FALSE(Holds("10.0.0.128/25", "10.0.0.127"));
  EXPECT_TRUE(Holds("192.168.1.7", "192.168.1.7"));
  EXPECT_FALSE(Holds("192.168.1.7", "192.168.1.6"));
  EXPECT_TRUE(Holds("192.168.1.7/32", "192.168.1.7"));
  EXPECT_TRUE(Holds("fd00::/8", "fdff::1"));
  EXPECT_FALSE(Holds("fd00::/8", "fe00::1"));
  EXPECT_TRUE(Holds("::1", "::1"));
  EXPECT_FALSE(Holds("::1", "::2"));
  EXPECT_TRUE(Holds("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(Holds("0.0.0.0/0", "fd00::1"));
  EXPECT_TRUE(Holds("::/0", "fd00::1"));
}

TEST(Network, OfIPv4HoldsMappedAddressesAndNoOtherForm) {
  EXPECT_TRUE(Holds("127.0.0.0/8", "::ffff:127.0.0.1"));
  EXPECT_FALSE(Holds("127.0.0.0/8", "64:ff9b::7f00:1"));
  EXPECT_FALSE(Holds("127.0.0.0/8", "2002:7f00:1::1"));
  EXPECT_FALSE(Holds("127.0.0.0/8", "::127.0.0.1"));
}

TEST(Network, SaysWhatIsWrong) {
  const std::pair<std::string_view, const char*> cases[] = {
      {"", "neither an address nor a block"},
      {"localhost", "neither an address nor a block"},
      {"10.0.0", "neither an address nor a block"},
      {"010.0.0.1", "neither an address nor a block"},
      {"fe80::1%1", "neither an address nor a block"},
      {std::string_view("10.0.0.1\0x", 10), "neither an address nor a block"},
      {"10.0.0.0/", "a number from 0 to 32"},
      {"10.0.0.0/33", "a number from 0 to 32"},
      {"10.0.0.0/-1", "a number from 0 to 32"},
      {"10.0.0.0/8x", "a number from 0 to 32"},
      {"fd00::/129", "a number from 0 to 128"},
      {"10.1.2.3/8", "bits beyond its prefix: write 10.0.0.0/8"},
      {"fd00::1/8", "bits beyond its prefix: write fd00::/8"},
  };
  for (const auto& [text, what] : cases) {
    const auto network = Network::Parse(text);
    ASSERT_FALSE(network) << text;
    EXPECT_EQ(network.error().code, Errc::kMalformed);
    EXPECT_THAT(network.error().what, HasSubstr(what)) << text;
  }
}

}  // namespace
}  // namespace lazaret::webhook
