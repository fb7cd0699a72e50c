#include "core/verdict_cache_contract.h"

#include "embedded/memory_verdict_cache.h"
#include "embedded/sqlite_samples.h"

namespace lazaret {
namespace {

class MemoryWorld {
 public:
  MemoryWorld(const Clock& clock, CachePolicy policy, std::size_t max_entries)
      : max_entries_(max_entries), cache_(clock, policy, max_entries) {}
  VerdictCache& cache() { return cache_; }
  std::size_t MostKept() const { return max_entries_; }

 private:
  std::size_t max_entries_;
  embedded::MemoryVerdictCache cache_;
};

class SqliteWorld {
 public:
  SqliteWorld(const Clock& clock, CachePolicy policy, std::size_t max_entries)
      : max_entries_(max_entries),
        cache_(embedded::MustOpen({.path = directory_.File(), .max_entries = max_entries, .policy = policy}, clock,
                                  log_)) {}
  embedded::SqliteVerdictCache& cache() { return *cache_; }
  std::size_t MostKept() const { return max_entries_; }

 private:
  std::size_t max_entries_;
  Log log_{LogFormat::kText, LogLevel::kError};
  embedded::TestDirectory directory_;
  std::unique_ptr<embedded::SqliteVerdictCache> cache_;
};

// Memory that holds a part of what the file holds.
class LayeredWorld {
 public:
  LayeredWorld(const Clock& clock, CachePolicy policy, std::size_t max_entries)
      : memory_entries_(max_entries / 10),
        file_(clock, policy, max_entries),
        cache_(clock, policy, memory_entries_, &file_.cache(),
               [this](const Digest& digest) { file_.cache().Touch(digest); }) {}
  VerdictCache& cache() { return cache_; }
  std::size_t MostKept() const { return file_.MostKept() + memory_entries_; }

 private:
  std::size_t memory_entries_;
  SqliteWorld file_;
  embedded::MemoryVerdictCache cache_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, VerdictCacheContract, MemoryWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, VerdictCacheContract, SqliteWorld);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryBeforeSqlite, VerdictCacheContract, LayeredWorld);

}  // namespace
}  // namespace lazaret
