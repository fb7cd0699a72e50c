#include "clamav/signature_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

namespace lazaret::clamav {
namespace {

namespace fs = std::filesystem;

class SignatureStoreTest : public testing::Test {
 protected:
  SignatureStoreTest() : root_(fs::path(testing::TempDir()) / ("store" + std::to_string(::getpid()))) {
    fs::create_directories(source_);
  }
  ~SignatureStoreTest() override { fs::remove_all(root_); }

  SignatureStore Open() const { return Open(source_); }
  SignatureStore Open(const fs::path& source) const {
    auto store = SignatureStore::Open(kept_, source);
    EXPECT_TRUE(store);
    return *std::move(store);
  }
  // The set of a directory that holds this text.
  KeptSet Take(const SignatureStore& store, std::string_view text) const {
    fs::remove(source_ / "a.ndb");
    std::ofstream(source_ / "a.ndb") << text;
    const auto snapshot = store.Take(SnapshotBy::kLinks);
    EXPECT_TRUE(snapshot);
    return {*snapshot,
            {snapshot->digest, "set\t" + std::string(text), 7, WallTime(milliseconds(5)), WallTime(seconds(9))}};
  }
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(kept_)) names.insert(entry.path().filename());
    return names;
  }

  const fs::path root_;
  const fs::path source_ = root_ / "source";
  const fs::path kept_ = root_ / "kept";
};

TEST_F(SignatureStoreTest, KeepsTheSetInUseAndTheOneBefore) {
  SignatureStore store = Open();
  const KeptSet one = Take(store, "one");
  ASSERT_TRUE(store.Use(one));
  const KeptSet two = Take(store, "two");
  ASSERT_TRUE(store.Use(two));
  const KeptSet three = Take(store, "three");
  ASSERT_TRUE(store.Use(three));
  EXPECT_THAT(Files(), testing::UnorderedElementsAre("state", two.snapshot.digest.Hex(), three.snapshot.digest.Hex()));

  const SignatureStore again = Open();
  ASSERT_TRUE(again.current() && again.previous());
  EXPECT_EQ(again.current()->snapshot.digest, three.snapshot.digest);
  EXPECT_EQ(again.previous()->snapshot.digest, two.snapshot.digest);
  EXPECT_EQ(again.previous()->snapshot.directory, two.snapshot.directory);
  EXPECT_EQ(again.previous()->snapshot.bytes, 3u);
  EXPECT_EQ(again.previous()->summary.label, "set two");
  EXPECT_EQ(again.previous()->summary.signatures, 7u);
  EXPECT_EQ(again.previous()->summary.built_at, WallTime(milliseconds(5)));
  EXPECT_EQ(again.previous()->summary.loaded_at, WallTime(seconds(9)));
}

TEST_F(SignatureStoreTest, TheSameSetAgainIsNoOtherOne) {
  SignatureStore store = Open();
  ASSERT_TRUE(store.Use(Take(store, "one")));
  ASSERT_TRUE(store.Use(Take(store, "two")));
  const auto before = store.previous()->snapshot.digest;
  ASSERT_TRUE(store.Use(Take(store, "two")));
  EXPECT_EQ(store.previous()->snapshot.digest, before);
}

TEST_F(SignatureStoreTest, GoesBackUntilThereIsAnotherSet) {
  SignatureStore store = Open();
  const KeptSet one = Take(store, "one");
  ASSERT_TRUE(store.Use(one));
  const KeptSet two = Take(store, "two");
  ASSERT_TRUE(store.Use(two));
  ASSERT_TRUE(store.GoBack({two.snapshot.digest, "label", "it\nflags all", WallTime(seconds(3))}, one.summary));
  EXPECT_EQ(store.current()->snapshot.digest, one.snapshot.digest);
  EXPECT_FALSE(store.previous());
  EXPECT_THAT(Files(), testing::UnorderedElementsAre("state", one.snapshot.digest.Hex()));

  SignatureStore again = Open();
  ASSERT_TRUE(again.pin());
  EXPECT_EQ(again.pin()->refused, two.snapshot.digest);
  EXPECT_EQ(again.pin()->reason, "it flags all");
  EXPECT_EQ(again.pin()->since, WallTime(seconds(3)));
  ASSERT_TRUE(again.Use(Take(again, "one")));
  EXPECT_TRUE(again.pin()) << "the set that was gone back to";
  ASSERT_TRUE(again.Use(Take(again, "three")));
  EXPECT_FALSE(again.pin());
  EXPECT_FALSE(Open().pin());
}

TEST_F(SignatureStoreTest, ForgetsSetsFromElsewhere) {
  SignatureStore store = Open();
  ASSERT_TRUE(store.Use(Take(store, "one")));
  EXPECT_FALSE(Open(root_ / "other").current());
  EXPECT_THAT(Files(), testing::Not(testing::Contains(testing::SizeIs(64))));
}

TEST_F(SignatureStoreTest, NeverTakesTheTestSetForARealOne) {
  SignatureStore store = Open({});
  const auto snapshot = store.Take(SnapshotBy::kLinks);
  ASSERT_TRUE(snapshot);
  ASSERT_TRUE(store.Use({*snapshot, {snapshot->digest, "test", 1, {}, {}}}));
  EXPECT_TRUE(Open({}).current()->snapshot.test_set);
  EXPECT_FALSE(Open().current());
}

TEST_F(SignatureStoreTest, SurvivesAStateThatIsNone) {
  for (const std::string_view text : {"", "garbage", "lazaret signatures 1\n", "lazaret signatures 1\ncurrent\tx\n",
                                      "lazaret signatures 1\n\n\t\t\ncurrent\t\t\t\t\t\t\t\n"}) {
    fs::create_directories(kept_);
    std::ofstream(kept_ / "state") << text;
    EXPECT_FALSE(Open().current()) << text;
  }
}

TEST_F(SignatureStoreTest, RemovesWhatACrashLeft) {
  fs::create_directories(kept_ / "incoming");
  fs::create_directories(kept_ / std::string(64, 'a'));
  std::ofstream(kept_ / "state.new") << "half";
  Open();
  EXPECT_THAT(Files(), testing::IsEmpty());
}

TEST_F(SignatureStoreTest, DropsOnlyWhatIsNotKept) {
  SignatureStore store = Open();
  const KeptSet one = Take(store, "one");
  ASSERT_TRUE(store.Use(one));
  store.Drop(one.snapshot);
  EXPECT_TRUE(fs::exists(one.snapshot.directory));
  const KeptSet two = Take(store, "two");
  store.Drop(two.snapshot);
  EXPECT_FALSE(fs::exists(two.snapshot.directory));
}

}  // namespace
}  // namespace lazaret::clamav
