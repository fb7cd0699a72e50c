#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "aio/task.h"
#include "core/verdict.h"

namespace lazaret {

// What tests of verdict caches need.

// Runs one task to its end on an executor of its own.
template <class T>
T Await(aio::Task<T> task) {
  boost::asio::io_context io;
  auto future = boost::asio::co_spawn(io, std::move(task), boost::asio::use_future);
  io.run();
  return future.get();
}

inline Digest SampleDigest(std::size_t number) { return Sha256::Of(AsBytes("sample " + std::to_string(number))); }

inline EngineInfo SampleEngine() {
  return EngineInfo{.signature_set = Sha256::Of(AsBytes("signatures")),
                    .profile = Sha256::Of(AsBytes("profile")),
                    .name = "ClamAV",
                    .version = "1.4.6",
                    .signature_label = "daily 28129, main 63, 3d1f0a2b",
                    .built_at = WallTime(milliseconds(1'763'881'200'123)),
                    .signatures = 3'627'551,
                    .test_set = false};
}

inline ScanRecord SampleRecord(const Clock& clock, EngineInfo engine = SampleEngine()) {
  return ScanRecord{.engine = std::make_shared<const EngineInfo>(std::move(engine)),
                    .size = 68,
                    .scanned_at = clock.Now(),
                    .scan_ms = 12.3};
}

inline VerdictPtr SampleClean(const Clock& clock) {
  return std::make_shared<const Verdict>(Verdict::Clean(SampleRecord(clock)));
}
inline VerdictPtr SampleInfected(const Clock& clock, std::string name = "Win.Test.Sample-1") {
  return std::make_shared<const Verdict>(Verdict::Infected(SampleRecord(clock), {std::move(name)}));
}
inline VerdictPtr SampleUnscannable(const Clock& clock, Reason reason) {
  return std::make_shared<const Verdict>(Verdict::Unscannable(SampleRecord(clock), reason, "why it is so"));
}

inline void ExpectSame(const Verdict& found, const Verdict& expected) {
  EXPECT_EQ(found.kind(), expected.kind());
  EXPECT_EQ(found.reason(), expected.reason());
  EXPECT_EQ(found.signatures(), expected.signatures());
  EXPECT_EQ(found.detail(), expected.detail());
  const ScanRecord& a = found.record();
  const ScanRecord& b = expected.record();
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.scanned_at, b.scanned_at);
  EXPECT_EQ(a.scan_ms, b.scan_ms);
  EXPECT_EQ(a.engine->signature_set, b.engine->signature_set);
  EXPECT_EQ(a.engine->profile, b.engine->profile);
  EXPECT_EQ(a.engine->name, b.engine->name);
  EXPECT_EQ(a.engine->version, b.engine->version);
  EXPECT_EQ(a.engine->signature_label, b.engine->signature_label);
  EXPECT_EQ(a.engine->built_at, b.engine->built_at);
  EXPECT_EQ(a.engine->signatures, b.engine->signatures);
  EXPECT_EQ(a.engine->test_set, b.engine->test_set);
}

}  // namespace lazaret
