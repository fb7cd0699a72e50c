#include "core/job_queue_contract.h"

#include "core/job_bounds_contract.h"
#include "core/job_takers_contract.h"
#include "core/outbox_contract.h"
#include "embedded/job_queue_samples.h"

namespace lazaret {
namespace {

template <std::uint64_t kInlineBytes>
class SqliteWorld {
 public:
  SqliteWorld(const FakeClock& clock, JobPolicy policy)
      : queue_(embedded::MustOpenQueue({.file = directory_.path() + "/queue.db",
                                        .directory = directory_.path() + "/contents",
                                        .policy = policy,
                                        .inline_bytes = kInlineBytes},
                                       pool_, clock, log_)) {}
  JobQueue& queue() { return *queue_; }
  Outbox& outbox() { return *queue_; }

 private:
  Log log_{LogFormat::kText, LogLevel::kError};
  embedded::TestDirectory directory_;
  aio::BlockingPool pool_{2};
  std::unique_ptr<embedded::SqliteJobQueue> queue_;
};

using Usual = SqliteWorld<64 * 1024>;
using AllInFiles = SqliteWorld<0>;

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobQueueContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobBoundsContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, JobTakersContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, OutboxContract, Usual);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteAndFiles, JobQueueContract, AllInFiles);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteAndFiles, JobBoundsContract, AllInFiles);
INSTANTIATE_TYPED_TEST_SUITE_P(SqliteAndFiles, JobTakersContract, AllInFiles);

}  // namespace
}  // namespace lazaret
