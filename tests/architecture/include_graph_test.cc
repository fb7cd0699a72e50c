// Which folder of src/ may include which other one, and who may name which library.
//
// To add an arrow: write it into kAllowed and say in the commit why the folder needs it. Arrows point from what is
// particular to what is general; the core and the service know interfaces only, so an arrow from them to an
// implementation is a sign that an interface is missing. To add a folder: give it a line in kAllowed, and a first line
// in its CMakeLists.txt that says in one sentence what it is for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lazaret {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Graph = std::map<std::string, std::set<std::string>>;

constexpr std::string_view kEverything = "*";

// Every folder may include itself.
const Graph kAllowed = {
    {"base", {}},
    {"aio", {"base"}},
    {"wire", {"base"}},
    {"core", {"base", "aio"}},
    {"spool", {"core", "aio", "base"}},
    {"service", {"core", "aio", "base"}},
    {"embedded", {"core", "aio", "base"}},
    {"scanner", {"base", "wire"}},
    {"clamav", {"core", "wire", "aio", "base"}},
    {"net", {"aio", "base"}},
    {"http", {"net", "service", "spool", "wire", "core", "aio", "base"}},
    {"clamd", {"net", "service", "spool", "wire", "core", "aio", "base"}},
    {"metrics", {"core", "base"}},
    {"config", {"base", "redis"}},  // redis: what a URL may look like
    {"fleet", {"redis", "core", "aio", "base"}},
    {"webhook", {"core", "aio", "base"}},
    {"redis", {"core", "aio", "base", "wire"}},
    {"main", {std::string(kEverything)}},
};

// Headers that only some folders may name. Nobody but main links what a folder hides, and heavy headers stay rare.
struct Reserved {
  std::string_view prefix;  // of what stands between < and >
  std::set<std::string> folders;
};
const std::vector<Reserved> kReserved = {
    {"clamav.h", {"scanner"}},
    {"boost/beast", {"webhook"}},  // answers to our own requests only: docs/decisions/0002
    {"sqlite3", {"embedded"}},
    {"hiredis", {"redis"}},
    {"prometheus/", {"metrics"}},
    {"CLI/", {"config"}},
    {"toml++/", {"config"}},
    // The umbrella header of Asio costs seconds in every file that includes it.
    {"boost/asio.hpp", {}},
    {"asio.hpp", {}},
};

// Path below src/ and text of each file.
using Tree = std::map<std::string, std::string>;

std::string FolderOf(const std::string& path) { return path.substr(0, path.find('/')); }

bool IsSource(const std::string& path) { return path.ends_with(".h") || path.ends_with(".cc"); }

std::vector<std::string> Included(const std::string& text, char open, char close) {
  const std::regex line(std::string(R"((?:^|\n)[ \t]*#[ \t]*include[ \t]*\)") + open + "([^\"<>\n]+)\\" + close);
  std::vector<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) names.push_back((*at)[1]);
  return names;
}

std::vector<std::string> CheckArrows(const Tree& tree, const Graph& allowed) {
  std::vector<std::string> problems;
  for (const auto& [path, text] : tree) {
    if (!IsSource(path)) continue;
    const std::string folder = FolderOf(path);
    const auto rule = allowed.find(folder);
    if (rule == allowed.end()) {
      problems.push_back(path + ": the folder " + folder + " is not in the list of allowed arrows");
      continue;
    }
    for (const std::string& name : Included(text, '"', '"')) {
      const std::string to = FolderOf(name);
      if (name.find('/') == name.npos || !tree.contains(name)) {
        problems.push_back(path + ": \"" + name + "\" is no file below src/");
      } else if (to != folder && !rule->second.contains(to) && !rule->second.contains(std::string(kEverything))) {
        problems.push_back(path + ": " + folder + " may not include " + name);
      }
    }
  }
  return problems;
}

std::vector<std::string> CheckReserved(const Tree& tree, const std::vector<Reserved>& reserved) {
  std::vector<std::string> problems;
  for (const auto& [path, text] : tree) {
    if (!IsSource(path)) continue;
    for (const std::string& name : Included(text, '<', '>')) {
      for (const Reserved& rule : reserved) {
        if (name.starts_with(rule.prefix) && !rule.folders.contains(FolderOf(path))) {
          problems.push_back(path + ": may not include <" + name + ">");
        }
      }
    }
  }
  return problems;
}

Graph ArrowsOf(const Tree& tree) {
  Graph graph;
  for (const auto& [path, text] : tree) {
    if (!IsSource(path)) continue;
    for (const std::string& name : Included(text, '"', '"')) {
      if (FolderOf(name) != FolderOf(path)) graph[FolderOf(path)].insert(FolderOf(name));
    }
  }
  return graph;
}

// The folders of one cycle in their order, such as "a -> b -> a"; empty when there is none.
std::string FindCycle(const Graph& graph) {
  std::set<std::string> finished;
  std::vector<std::string> way;
  const auto visit = [&](const auto& self, const std::string& folder) -> std::string {
    if (const auto seen = std::ranges::find(way, folder); seen != way.end()) {
      std::string cycle;
      for (auto step = seen; step != way.end(); ++step) cycle += *step + " -> ";
      return cycle + folder;
    }
    if (finished.contains(folder)) return "";
    way.push_back(folder);
    if (const auto arrows = graph.find(folder); arrows != graph.end()) {
      for (const std::string& to : arrows->second) {
        if (std::string cycle = self(self, to); !cycle.empty()) return cycle;
      }
    }
    way.pop_back();
    finished.insert(folder);
    return "";
  };
  for (const auto& [folder, arrows] : graph) {
    if (std::string cycle = visit(visit, folder); !cycle.empty()) return cycle;
  }
  return "";
}

std::vector<std::string> CheckPurposes(const Tree& tree) {
  // One sentence, over one or two comment lines before the first command.
  const std::regex sentence("# [A-Z][^\n]*[^.\n](\n# [^\n]*[^.\n])?\\.\n[^#]");
  std::set<std::string> folders;
  for (const auto& [path, text] : tree) folders.insert(FolderOf(path));
  std::vector<std::string> problems;
  for (const std::string& folder : folders) {
    const auto file = tree.find(folder + "/CMakeLists.txt");
    if (file == tree.end() || !std::regex_search(file->second, sentence, std::regex_constants::match_continuous)) {
      problems.push_back(folder +
                         "/CMakeLists.txt does not begin with a comment that says in a sentence what it is for");
    }
  }
  return problems;
}

Tree ReadTree(const std::filesystem::path& root) {
  Tree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string path = entry.path().lexically_relative(root).generic_string();
    if (!entry.is_regular_file() || path.find('/') == path.npos) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    tree.emplace(path, std::string(std::istreambuf_iterator<char>(stream), {}));
  }
  return tree;
}

class Sources : public testing::Test {
 protected:
  const Tree tree_ = ReadTree(LAZARET_SOURCE_DIR);
};

TEST_F(Sources, AreFound) {
  EXPECT_TRUE(tree_.contains("base/result.h"));
  EXPECT_TRUE(ArrowsOf(tree_)["core"].contains("aio"));
}

TEST_F(Sources, IncludeOnlyAlongAllowedArrows) { EXPECT_THAT(CheckArrows(tree_, kAllowed), IsEmpty()); }

TEST_F(Sources, HaveNoCycle) { EXPECT_EQ(FindCycle(ArrowsOf(tree_)), ""); }

TEST_F(Sources, LeaveReservedLibrariesAlone) { EXPECT_THAT(CheckReserved(tree_, kReserved), IsEmpty()); }

TEST_F(Sources, SayWhatEachFolderIsFor) { EXPECT_THAT(CheckPurposes(tree_), IsEmpty()); }

TEST(AllowedArrows, HaveNoCycle) { EXPECT_EQ(FindCycle(kAllowed), ""); }

TEST(AllowedArrows, LeadFromListedFoldersToListedFolders) {
  for (const auto& [from, arrows] : kAllowed) {
    for (const std::string& to : arrows)
      EXPECT_TRUE(to == kEverything || kAllowed.contains(to)) << from << " -> " << to;
  }
}

// The checks themselves, on trees that break the rules.

TEST(CheckArrows, FindsEveryKindOfWrongInclude) {
  const Tree tree = {
      {"base/a.h", "#pragma once\n#include \"base/b.h\"\n"},
      {"base/b.h", "#include \"wire/w.h\"\n"},
      {"wire/w.h", "// text\n  #  include \"base/a.h\"\n#include <aio/x.h>\n"},
      {"wire/w_test.cc",
       "#include <gtest/gtest.h>\n#include \"core/c.h\"\n#include \"w.h\"\n#include \"base/none.h\"\n"},
      {"core/c.h", ""},
      {"main/main.cc", "#include \"core/c.h\"\n#include \"base/a.h\"\n"},
      {"new/n.h", ""},
  };
  EXPECT_THAT(CheckArrows(tree, kAllowed), ElementsAre("base/b.h: base may not include wire/w.h",
                                                       "new/n.h: the folder new is not in the list of allowed arrows",
                                                       "wire/w_test.cc: wire may not include core/c.h",
                                                       "wire/w_test.cc: \"w.h\" is no file below src/",
                                                       "wire/w_test.cc: \"base/none.h\" is no file below src/"));
}

TEST(FindCycle, NamesTheFoldersOfACycle) {
  const Tree tree = {{"a/a.h", "#include \"b/b.h\"\n"},
                     {"b/b.h", "#include \"c/c.h\"\n#include \"d/d.h\"\n"},
                     {"c/c.h", ""},
                     {"d/d.cc", "#include \"b/b.h\"\n"}};
  EXPECT_EQ(FindCycle(ArrowsOf(tree)), "b -> d -> b");
  EXPECT_EQ(FindCycle({{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {}}}), "");
}

TEST(CheckReserved, FindsLibrariesInTheWrongFolder) {
  const Tree tree = {{"core/a.cc", "#include <sqlite3.h>\n#include <vector>\n"},
                     {"service/b.cc", "#include <boost/beast/http.hpp>\n#include <boost/asio/post.hpp>\n"},
                     {"clamav/c.cc", "#include <clamav.h>\n"},
                     {"http/d.cc", "#include <boost/beast/core.hpp>\n#include <boost/asio.hpp>\n"},
                     {"main/e.cc", "#include <CLI/CLI.hpp>\n#include <toml++/toml.h>\n#include <hiredis/hiredis.h>\n"},
                     {"scanner/f.cc", "#include <clamav.h>\n"}};
  EXPECT_THAT(
      CheckReserved(tree, kReserved),
      ElementsAre("clamav/c.cc: may not include <clamav.h>", "core/a.cc: may not include <sqlite3.h>",
                  "http/d.cc: may not include <boost/beast/core.hpp>", "http/d.cc: may not include <boost/asio.hpp>",
                  "main/e.cc: may not include <CLI/CLI.hpp>", "main/e.cc: may not include <toml++/toml.h>",
                  "main/e.cc: may not include <hiredis/hiredis.h>",
                  "service/b.cc: may not include <boost/beast/http.hpp>"));
}

TEST(CheckPurposes, WantsOneSentence) {
  const auto problems = [](const std::string& text) {
    return CheckPurposes({{"a/CMakeLists.txt", text}, {"a/a.h", ""}}).size();
  };
  EXPECT_EQ(problems("# Holds things.\nadd_library(a)\n"), 0u);
  EXPECT_EQ(problems("# Holds things that\n# take two lines.\nadd_library(a)\n"), 0u);
  EXPECT_EQ(problems("add_library(a)\n"), 1u);
  EXPECT_EQ(problems("# holds\nadd_library(a)\n"), 1u);
  EXPECT_EQ(problems("# .\nadd_library(a)\n"), 1u);
  EXPECT_THAT(CheckPurposes({{"b/b.h", ""}}), ElementsAre(HasSubstr("b/CMakeLists.txt does not begin")));
}

}  // namespace
}  // namespace lazaret
