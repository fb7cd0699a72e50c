// Runs every file of the corpora through its fuzz target without libFuzzer: what a fuzzer once found stays fixed.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>

extern "C" {
int callback_url_fuzz(const std::uint8_t* data, std::size_t size);
int chunked_fuzz(const std::uint8_t* data, std::size_t size);
int clamd_command_fuzz(const std::uint8_t* data, std::size_t size);
int clamd_reply_fuzz(const std::uint8_t* data, std::size_t size);
int digest_field_fuzz(const std::uint8_t* data, std::size_t size);
int job_replies_fuzz(const std::uint8_t* data, std::size_t size);
int multipart_fuzz(const std::uint8_t* data, std::size_t size);
int node_record_fuzz(const std::uint8_t* data, std::size_t size);
int override_fuzz(const std::uint8_t* data, std::size_t size);
int query_fuzz(const std::uint8_t* data, std::size_t size);
int redis_reply_fuzz(const std::uint8_t* data, std::size_t size);
int redis_url_fuzz(const std::uint8_t* data, std::size_t size);
int request_head_fuzz(const std::uint8_t* data, std::size_t size);
int scanner_protocol_fuzz(const std::uint8_t* data, std::size_t size);
int stored_verdict_fuzz(const std::uint8_t* data, std::size_t size);
int verdict_encoding_fuzz(const std::uint8_t* data, std::size_t size);
int zip_check_fuzz(const std::uint8_t* data, std::size_t size);
}

namespace lazaret::fuzz {
namespace {

struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
  friend void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }
};

class FuzzCorpus : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzCorpus, HoldsForEveryFile) {
  const std::filesystem::path directory = std::filesystem::path(LAZARET_FUZZ_CORPUS) / GetParam().name;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream in(entry.path(), std::ios::binary);
    ASSERT_TRUE(in);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(GetParam().run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 0);
    ++files;
  }
  EXPECT_GE(files, 5u) << "the corpus is missing";
}

INSTANTIATE_TEST_SUITE_P(Webhook, FuzzCorpus, ::testing::Values(Target{"callback_url_fuzz", callback_url_fuzz}),
                         [](const auto& target) { return std::string(target.param.name); });

INSTANTIATE_TEST_SUITE_P(Fleet, FuzzCorpus,
                         ::testing::Values(Target{"node_record_fuzz", node_record_fuzz},
                                           Target{"override_fuzz", override_fuzz},
                                           Target{"stored_verdict_fuzz", stored_verdict_fuzz}),
                         [](const auto& target) { return std::string(target.param.name); });

INSTANTIATE_TEST_SUITE_P(Redis, FuzzCorpus,
                         ::testing::Values(Target{"job_replies_fuzz", job_replies_fuzz},
                                           Target{"redis_reply_fuzz", redis_reply_fuzz},
                                           Target{"redis_url_fuzz", redis_url_fuzz}),
                         [](const auto& target) { return std::string(target.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Wire, FuzzCorpus,
    ::testing::Values(Target{"chunked_fuzz", chunked_fuzz}, Target{"clamd_command_fuzz", clamd_command_fuzz},
                      Target{"clamd_reply_fuzz", clamd_reply_fuzz}, Target{"digest_field_fuzz", digest_field_fuzz},
                      Target{"multipart_fuzz", multipart_fuzz}, Target{"query_fuzz", query_fuzz},
                      Target{"request_head_fuzz", request_head_fuzz},
                      Target{"scanner_protocol_fuzz", scanner_protocol_fuzz},
                      Target{"verdict_encoding_fuzz", verdict_encoding_fuzz}, Target{"zip_check_fuzz", zip_check_fuzz}),
    [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace lazaret::fuzz
