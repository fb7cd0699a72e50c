#include "aio/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <set>

namespace lazaret::aio {
namespace {

namespace asio = boost::asio;
using testing::AnyOf;
using testing::Each;
using testing::HasSubstr;

class ResolverTest : public testing::Test {
 protected:
  std::future<Result<Addresses>> Start(Resolver& resolver, const std::string& host, milliseconds time = seconds(60)) {
    return asio::co_spawn(io_, resolver.Resolve(host, std::chrono::steady_clock::now() + time), asio::use_future);
  }
  // Answers when the test says so, which may be over by then.
  Lookup Held() {
    return [lookups = lookups_, open = gate_.get_future().share()](const std::string&) -> Result<Addresses> {
      ++*lookups;
      open.wait();
      return Addresses{asio::ip::make_address("192.0.2.1")};
    };
  }

  asio::io_context io_;
  std::promise<void> gate_;
  const std::shared_ptr<std::atomic<int>> lookups_ = std::make_shared<std::atomic<int>>(0);
};

TEST_F(ResolverTest, SharesALookupThatIsUnderWay) {
  Resolver resolver(Held(), 1);
  auto first = Start(resolver, "a");
  auto second = Start(resolver, "a");
  io_.poll();
  gate_.set_value();
  io_.run();
  EXPECT_EQ(first.get(), (Addresses{asio::ip::make_address("192.0.2.1")}));
  EXPECT_EQ(second.get(), (Addresses{asio::ip::make_address("192.0.2.1")}));
  EXPECT_EQ(*lookups_, 1);
}

TEST_F(ResolverTest, LooksSoManyNamesUpAtOnce) {
  Resolver resolver(Held(), 2);
  auto first = Start(resolver, "a");
  auto second = Start(resolver, "b");
  auto third = Start(resolver, "c");
  io_.poll();
  ASSERT_EQ(third.wait_for(seconds(0)), std::future_status::ready);
  const auto refused = third.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kOverloaded);
  gate_.set_value();
  io_.run();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  io_.restart();
  auto fourth = Start(resolver, "c");
  io_.run();
  EXPECT_TRUE(fourth.get());
}

TEST_F(ResolverTest, EndsAtTheDeadlineAndMayGoBeforeItsLookups) {
  auto resolver = std::make_unique<Resolver>(Held(), 1);
  auto late = Start(*resolver, "hooks.example", milliseconds(20));
  io_.run();
  const auto result = late.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::kTimeout, "looking up hooks.example took too long"}));
  resolver.reset();
  gate_.set_value();
}

TEST(LookUp, AsksTheSystem) {
  const auto found = LookUp("localhost");
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_THAT(*found, Each(AnyOf(asio::ip::make_address("127.0.0.1"), asio::ip::make_address("::1"))));
  EXPECT_FALSE(found->empty());
  const auto none = LookUp("a..b");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::kUnavailable);
  EXPECT_THAT(none.error().what, HasSubstr("cannot look up a..b"));
}

}  // namespace
}  // namespace lazaret::aio
