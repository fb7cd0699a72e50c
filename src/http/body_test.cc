#include "http/body.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include <future>
#include <optional>
#include <string>
#include <utility>

namespace lazaret::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A body of 10,000 bytes that arrives byte by byte, so slowly that only its rate can be held against it.
class BodyTest : public testing::Test {
 protected:
  net::Socket Connect() {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    client_.connect(acceptor.local_endpoint());
    return acceptor.accept();
  }

  aio::Task<Result<std::uint64_t>> ReadAll(Body& body) {
    std::uint64_t size = 0;
    for (;;) {
      const auto bytes = co_await body.Read();
      if (!bytes) co_return std::unexpected(bytes.error());
      if (bytes->empty()) co_return size;
      size += bytes->size();
    }
  }

  // Sends `bytes` single bytes, a few milliseconds apart, or until reading has ended.
  void Drip(int bytes, const std::future<Result<std::uint64_t>>& ended) {
    for (int i = 0; i < bytes && ended.wait_for(seconds(0)) != std::future_status::ready; ++i) {
      asio::write(client_, asio::buffer("x", 1));
      io_.run_for(milliseconds(5));
      deadline_.Check(std::chrono::steady_clock::now());
    }
  }

  asio::io_context io_;
  tcp::socket client_{io_};
  net::Poller poller_{io_};
  net::PolledSocket server_{Connect(), poller_};
  net::BufferPool buffers_;
  Deadline deadline_{server_};
  Input input_{server_, buffers_, deadline_};
  wire::RequestHead head_{.method = "POST",
                          .path = "/",
                          .query = {},
                          .host = {},
                          .fields = {},
                          .body = wire::BodyFraming::kLength,
                          .content_length = 10'000};
};

TEST_F(BodyTest, MustKeepItsRateOnceTheGraceIsOver) {
  const BodyTimes times{.stall = std::chrono::hours(1), .grace = milliseconds(50), .bytes_per_second = 1'000'000};
  Body body(head_, server_, input_, deadline_, times);
  auto ended = asio::co_spawn(io_, ReadAll(body), asio::use_future);
  Drip(10'000, ended);
  const auto size = ended.get();
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().code, Errc::kTimeout);
}

TEST_F(BodyTest, MayBeAsSlowAsItLikesWhenNoRateIsAsked) {
  const BodyTimes times{.stall = std::chrono::hours(1), .grace = milliseconds(50), .bytes_per_second = 0};
  Body body(head_, server_, input_, deadline_, times);
  auto ended = asio::co_spawn(io_, ReadAll(body), asio::use_future);
  Drip(40, ended);
  asio::write(client_, asio::buffer(std::string(10'000 - 40, 'x')));
  io_.run();
  const auto size = ended.get();
  ASSERT_TRUE(size) << size.error().what;
  EXPECT_EQ(*size, 10'000u);
}

TEST_F(BodyTest, GivesAtOnceWhatIsHereAndNothingElse) {
  const BodyTimes times{.stall = std::chrono::hours(1), .grace = milliseconds(50), .bytes_per_second = 0};
  head_.content_length = 3;
  head_.expectation = wire::Expectation::kContinue;
  Body body(head_, server_, input_, deadline_, times);
  EXPECT_FALSE(body.ReadNow());
  EXPECT_TRUE(body.is_withheld());
  asio::write(client_, asio::buffer("abcd", 4));
  auto more = asio::co_spawn(io_, input_.More(), asio::use_future);
  io_.run();
  ASSERT_TRUE(more.get());
  auto bytes = body.ReadNow();
  ASSERT_TRUE(bytes && *bytes);
  EXPECT_EQ(AsText(**bytes), "abc") << "the rest is the next request";
  EXPECT_FALSE(body.is_withheld());
  bytes = body.ReadNow();
  ASSERT_TRUE(bytes && *bytes);
  EXPECT_TRUE((*bytes)->empty());
  EXPECT_TRUE(body.SkipNow());
  EXPECT_EQ(input_.buffered(), "d");
}

TEST_F(BodyTest, ShowsAllOfItWithoutReadingIt) {
  const BodyTimes times{.stall = std::chrono::hours(1), .grace = milliseconds(50), .bytes_per_second = 0};
  head_.content_length = 3;
  Body body(head_, server_, input_, deadline_, times);
  const auto arrive = [&](std::string_view bytes) {
    asio::write(client_, asio::buffer(bytes));
    auto more = asio::co_spawn(io_, input_.More(), asio::use_future);
    io_.restart();
    io_.run();
    ASSERT_TRUE(more.get());
  };
  EXPECT_FALSE(body.Arrived());
  arrive("ab");
  EXPECT_FALSE(body.Arrived()) << "not all of it";
  arrive("cd");
  for (int i = 0; i < 2; ++i) {
    const auto all = body.Arrived();
    ASSERT_TRUE(all);
    EXPECT_EQ(AsText(*all), "abc");
    EXPECT_FALSE(body.is_complete());
  }
  ASSERT_TRUE(body.ReadNow());
  EXPECT_FALSE(body.Arrived()) << "it has been read";
  head_.body = wire::BodyFraming::kChunked;
  EXPECT_FALSE(Body(head_, server_, input_, deadline_, times).Arrived());
}

TEST_F(BodyTest, BytesThatWereParkedGiveTheirMemoryBack) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's malloc does not count";
#endif
  constexpr std::size_t kBytes = 48 * 1024;
  asio::write(client_, asio::buffer(std::string(kBytes, 'x')));
  while (input_.buffered().size() < kBytes) (void)input_.MoreNow();
  const auto allocated = [] { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; };
  const std::size_t in_buffer = allocated();
  input_.Park();
  EXPECT_GE(allocated(), in_buffer + kBytes);
  input_.Consume(kBytes - 1);
  EXPECT_EQ(input_.buffered(), "x");
  input_.Consume(1);
  EXPECT_LT(allocated(), in_buffer + kBytes / 2) << "all of it was consumed";

  asio::write(client_, asio::buffer(std::string(kBytes, 'y')));
  while (input_.buffered().size() < kBytes) (void)input_.MoreNow();
  input_.Park();
  input_.Consume(kBytes - 2);
  asio::write(client_, asio::buffer("z", 1));
  std::optional<Result<void>> more;
  while (!more) more = input_.MoreNow();
  EXPECT_EQ(input_.buffered(), "yyz");
  EXPECT_LT(allocated(), in_buffer + kBytes / 2) << "it went back into a buffer";
}

TEST_F(BodyTest, TellsTheClientToContinueOnlyWhenItHasToWait) {
  const BodyTimes times{.stall = std::chrono::hours(1), .grace = milliseconds(50), .bytes_per_second = 0};
  head_.content_length = 3;
  head_.expectation = wire::Expectation::kContinue;
  Body body(head_, server_, input_, deadline_, times);
  auto ended = asio::co_spawn(io_, ReadAll(body), asio::use_future);
  io_.poll();
  std::string told(25, '\0');
  asio::read(client_, asio::buffer(told));
  EXPECT_EQ(told, "HTTP/1.1 100 Continue\r\n\r\n");
  asio::write(client_, asio::buffer("abc", 3));
  io_.restart();
  io_.run();
  EXPECT_EQ(ended.get().value_or(0), 3u);
  EXPECT_EQ(client_.available(), 0u);
}

}  // namespace
}  // namespace lazaret::http
