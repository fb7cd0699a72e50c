#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "webhook/http_post.h"
#include "webhook/test_receiver.h"

namespace lazaret::webhook {

// A file of a test, removed after it.
class TestFile {
 public:
  explicit TestFile(const std::string& content) {
    const int fd = ::mkstemp(path_.data());
    if (fd < 0) throw std::runtime_error("no temporary file");
    ::close(fd);
    std::ofstream(path_) << content;
  }
  ~TestFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "lazaret-webhook-XXXXXX";
};

// Names lead where the test says; 127.0.0.1 may be connected to, and no other address of this machine.
class HttpPostTest : public testing::Test {
 protected:
  static constexpr seconds kPatience{60};  // only ever passes in a test that fails

  // What the next posters resolve every name to.
  void Resolve(std::vector<std::string> addresses) {
    lookup_ = [addresses = std::move(addresses)](const std::string&) -> Result<aio::Addresses> {
      aio::Addresses found;
      for (const std::string& text : addresses) found.push_back(boost::asio::ip::make_address(text));
      return found;
    };
  }

  std::unique_ptr<HttpPoster> MakePoster(const std::string& ca_file = "") {
    auto poster = HttpPoster::Make(ca_file, policy_, lookup_, 8);
    if (!poster) throw std::runtime_error(poster.error().what);
    return *std::move(poster);
  }

  static PostRequest Request(const std::string& url, std::string body = "{}") {
    auto parsed = ParseCallbackUrl(url);
    if (!parsed) throw std::runtime_error(parsed.error().what);
    return {.url = *std::move(parsed), .fields = {}, .body = std::move(body)};
  }
  static std::string Plain(const Receiver& receiver, std::string_view target = "/") {
    return fmt::format("http://hooks.example:{}{}", receiver.port(), target);
  }
  static std::string Secure(const Receiver& receiver, std::string_view host = "hooks.example") {
    return fmt::format("https://{}:{}/", host, receiver.port());
  }

  Result<unsigned> Post(HttpPoster& poster, PostRequest request, milliseconds time = kPatience) {
    auto status = boost::asio::co_spawn(io_, poster.Post(std::move(request), std::chrono::steady_clock::now() + time),
                                        boost::asio::use_future);
    io_.restart();
    io_.run();
    return status.get();
  }
  Result<unsigned> Post(const std::string& url, milliseconds time = kPatience) {
    return Post(*MakePoster(), Request(url), time);
  }
  // What a receiver's answer becomes.
  Result<unsigned> Answered(const std::string& answer) {
    Receiver receiver([&](Peer& peer) {
      ReadRequest(peer);
      peer.Write(answer);
    });
    return Post(Plain(receiver));
  }

  static void ExpectError(const Result<unsigned>& status, Errc code, const std::string& what) {
    ASSERT_FALSE(status) << *status;
    EXPECT_EQ(status.error().code, code) << status.error().what;
    EXPECT_THAT(status.error().what, testing::HasSubstr(what));
  }

  boost::asio::io_context io_;
  CallbackPolicy policy_ = *CallbackPolicy::Parse({}, {"127.0.0.1"});
  aio::Lookup lookup_;

  HttpPostTest() { Resolve({"127.0.0.1"}); }
};

}  // namespace lazaret::webhook
