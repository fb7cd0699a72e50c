#include "aio/gate.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>
#include <vector>

namespace lazaret::aio {
namespace {

namespace asio = boost::asio;
using Entered = std::optional<std::optional<Gate::Seat>>;

class GateTest : public testing::Test {
 protected:
  void Enter(Entered& into, SteadyTime deadline = SteadyTime::max(), asio::cancellation_signal* cancel = nullptr) {
    const auto enter = [](Gate& gate, Entered& out, SteadyTime end) -> Task<> {
      out.emplace(co_await gate.Enter(end));
    };
    asio::co_spawn(io_, enter(gate_, into, deadline),
                   asio::bind_cancellation_slot(cancel == nullptr ? asio::cancellation_slot() : cancel->slot(),
                                                [](std::exception_ptr) {}));
    Go();
  }
  void Go() {
    io_.restart();
    io_.poll();
  }

  Gate gate_{1, 2};
  asio::io_context io_;
};

TEST_F(GateTest, LetsInWhoWaitedLongest) {
  Entered first, second, third;
  Enter(first);
  ASSERT_TRUE(first && *first);
  Enter(second);
  Enter(third);
  EXPECT_FALSE(second || third);
  first.reset();
  Go();
  EXPECT_TRUE(second && *second);
  EXPECT_FALSE(third);
  second.reset();
  Go();
  EXPECT_TRUE(third && *third);
}

TEST_F(GateTest, RefusesWhenTooManyWaitOrForTooLong) {
  Entered in, first, second, third;
  Enter(in);
  Enter(first);
  Enter(second, SteadyTime::min());
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  second.reset();
  Enter(second);
  EXPECT_FALSE(second) << "who has gone takes no room";
  Enter(third);
  ASSERT_TRUE(third);
  EXPECT_FALSE(*third);
}

TEST_F(GateTest, PassesOverWhoHasLeft) {
  Entered in, first, second;
  asio::cancellation_signal leave;
  Enter(in);
  Enter(first, SteadyTime::max(), &leave);
  Enter(second);
  leave.emit(asio::cancellation_type::terminal);
  Go();
  in.reset();
  Go();
  EXPECT_FALSE(first && *first);
  EXPECT_TRUE(second && *second);
}

}  // namespace
}  // namespace lazaret::aio
