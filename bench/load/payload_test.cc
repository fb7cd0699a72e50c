#include "load/payload.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <stdexcept>

namespace lazaret::bench {
namespace {

namespace fs = std::filesystem;

struct TempDirectory {
  TempDirectory() {
    std::string name = fs::temp_directory_path() / "lazaret-payload-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }
  ~TempDirectory() { fs::remove_all(path); }
  void Write(const fs::path& name, std::string_view text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << text;
  }
  fs::path path;
};

std::string AllOf(const Payload& payload) {
  std::string text;
  while (text.size() < payload.size()) text += AsText(payload.From(text.size()));
  return text;
}

TEST(Payload, TextHasExactlyItsSizeAroundItsBlock) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, kMiB - 1, kMiB, kMiB + 1, 3 * kMiB + 5}) {
    const auto payload = MakeText(size, 1);
    const std::string text = AllOf(*payload);
    EXPECT_EQ(payload->size(), size);
    EXPECT_EQ(text.size(), size);
    EXPECT_EQ(payload->ComputeDigest(), Sha256::Of(AsBytes(text)));
    if (size > kMiB) EXPECT_EQ(text[kMiB], text[0]);
  }
}

TEST(Payload, TextDependsOnItsSeed) {
  EXPECT_EQ(AllOf(*MakeText(100, 1)), AllOf(*MakeText(100, 1)));
  EXPECT_NE(AllOf(*MakeText(100, 1)), AllOf(*MakeText(100, 2)));
}

TEST(Corpus, IsInOrderOfNames) {
  const TempDirectory directory;
  directory.Write("b", "two");
  directory.Write("a/z", "one");
  directory.Write("c", "");
  const auto items = ReadCorpus(directory.path, {{"b", "infected"}});
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 3u);
  EXPECT_EQ((*items)[0].name, "a/z");
  EXPECT_EQ(AllOf(*(*items)[0].payload), "one");
  EXPECT_EQ((*items)[0].word, std::nullopt);
  EXPECT_EQ((*items)[1].word, "infected");
  EXPECT_EQ((*items)[2].payload->size(), 0u);
}

TEST(Corpus, IsRefusedWhenThereIsNothingInIt) {
  const TempDirectory directory;
  EXPECT_EQ(ReadCorpus(directory.path, {}).error().code, Errc::kNotFound);
  EXPECT_EQ(ReadCorpus(directory.path / "none", {}).error().code, Errc::kNotFound);
}

TEST(Answers, AreReadByName) {
  const TempDirectory directory;
  directory.Write("good", "a b.txt\tclean\t\nc\tinfected\tX,Y\n");
  directory.Write("bad", "no tab\n");
  const auto answers = ReadAnswers(directory.path / "good");
  ASSERT_TRUE(answers);
  EXPECT_EQ(*answers, (Answers{{"a b.txt", "clean"}, {"c", "infected"}}));
  EXPECT_FALSE(ReadAnswers(directory.path / "bad"));
  EXPECT_FALSE(ReadAnswers(directory.path / "none"));
}

TEST(Ids, AreThoseOfTheFileInItsOrder) {
  const TempDirectory directory;
  const std::string first(64, 'a'), second(64, '7');
  directory.Write("ids", second + "\n" + first + "\n");
  const auto items = ReadIds(directory.path / "ids");
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2);
  EXPECT_EQ(items->at(0).digest->Hex(), second);
  EXPECT_EQ(items->at(1).digest->Hex(), first);
  EXPECT_EQ(items->at(0).payload->size(), 0);
}

TEST(Ids, AreRefusedWhenOneIsNoneOrThereIsNone) {
  const TempDirectory directory;
  directory.Write("short", std::string(63, 'a') + "\n");
  directory.Write("empty", "");
  EXPECT_EQ(ReadIds(directory.path / "short").error().code, Errc::kMalformed);
  EXPECT_EQ(ReadIds(directory.path / "empty").error().code, Errc::kNotFound);
  EXPECT_EQ(ReadIds(directory.path / "none").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace lazaret::bench
