#include "embedded/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lazaret::embedded {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

SteadyTime At(int ms) { return SteadyTime(milliseconds(ms)); }

TEST(LeaseTable, KnowsWhoseTimeIsUp) {
  LeaseTable<int> leases;
  EXPECT_EQ(leases.FirstEnd(), SteadyTime::max());
  leases.Grant(1, 10, At(30));
  leases.Grant(2, 20, At(10));
  leases.Grant(3, 30, At(10));
  EXPECT_EQ(leases.FirstEnd(), At(10));
  EXPECT_THAT(leases.Over(At(9)), IsEmpty());
  EXPECT_THAT(leases.Over(At(10)), ElementsAre(Pair(2, 20u), Pair(3, 30u)));
  EXPECT_THAT(leases.Over(At(10)), ElementsAre(Pair(2, 20u), Pair(3, 30u))) << "until they are ended";
  leases.End(2, 20);
  leases.End(3, 99);
  EXPECT_THAT(leases.Over(At(10)), ElementsAre(Pair(3, 30u)));
  EXPECT_FALSE(leases.Has(2));
  EXPECT_TRUE(leases.Has(3));
}

TEST(LeaseTable, ReturnsTheLeaseThatIsReplaced) {
  LeaseTable<int> leases;
  EXPECT_FALSE(leases.Grant(1, 10, At(30)));
  const auto replaced = leases.Grant(1, 11, At(50));
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->token, 10u);
  EXPECT_EQ(replaced->until, At(30));
  EXPECT_THAT(leases.Over(At(50)), ElementsAre(Pair(1, 11u)));
}

TEST(LeaseTable, RenewsOnlyTheLeaseThatIsThere) {
  LeaseTable<int> leases;
  leases.Grant(1, 10, At(10));
  EXPECT_FALSE(leases.Renew(1, 11, At(50)));
  EXPECT_FALSE(leases.Renew(2, 10, At(50)));
  EXPECT_EQ(leases.FirstEnd(), At(10));
  EXPECT_TRUE(leases.Renew(1, 10, At(50)));
  EXPECT_EQ(leases.FirstEnd(), At(50));
  leases.Grant(1, 11, At(20));
  EXPECT_FALSE(leases.Renew(1, 10, At(90)));
  EXPECT_EQ(leases.FirstEnd(), At(20));
  leases.End(1, 11);
  EXPECT_FALSE(leases.Renew(1, 11, At(90)));
  EXPECT_EQ(leases.FirstEnd(), SteadyTime::max());
}

}  // namespace
}  // namespace lazaret::embedded
