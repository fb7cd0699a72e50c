#include "webhook/http_post.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>

#include "aio/task_group.h"
#include "webhook/answer_reader.h"
#include "webhook/http_post_fixture.h"

namespace lazaret::webhook {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using testing::Not;

TEST_F(HttpPostTest, SendsOneProperRequest) {
  std::promise<ReceivedRequest> received;
  Receiver receiver([&](Peer& peer) {
    auto request = ReadRequest(peer);
    peer.Write(Answer(204));
    peer.ReadToEnd();
    received.set_value(request.value_or(ReceivedRequest{}));
  });
  PostRequest request = Request(Plain(receiver, "/a/../b?token=%2f"), "the body");
  request.fields = {{"webhook-id", "msg_1"}, {"Content-Type", "application/json"}};
  EXPECT_EQ(Post(*MakePoster(), std::move(request)), 204u);
  const ReceivedRequest got = received.get_future().get();
  EXPECT_EQ(got.head,
            fmt::format("POST /a/../b?token=%2f HTTP/1.1\r\nHost: hooks.example:{}\r\nUser-Agent: lazaret/{}\r\n"
                        "webhook-id: msg_1\r\nContent-Type: application/json\r\nContent-Length: 8\r\n"
                        "Connection: close\r\n\r\n",
                        receiver.port(), LAZARET_VERSION));
  EXPECT_EQ(got.body, "the body");
}

TEST_F(HttpPostTest, ReportsEveryStatus) {
  for (const unsigned status : {200u, 202u, 204u, 299u, 304u, 400u, 404u, 410u, 429u, 500u, 503u, 599u}) {
    EXPECT_EQ(Answered(Answer(static_cast<int>(status))), status);
  }
}

TEST_F(HttpPostTest, FollowsNoRedirect) {
  Receiver other([](Peer& peer) { peer.Write(Answer(200)); });
  for (const unsigned status : {301u, 302u, 303u, 307u, 308u}) {
    EXPECT_EQ(
        Answered(Answer(static_cast<int>(status), fmt::format("Location: http://127.0.0.1:{}/\r\n", other.port()))),
        status);
  }
  EXPECT_EQ(other.connections(), 0u);
}

TEST_F(HttpPostTest, ReadsPastInterimAnswers) {
  const auto with_interim = [&](std::size_t count) {
    std::string answer;
    for (std::size_t i = 0; i < count; ++i) answer += "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    return Answered(answer + Answer(202));
  };
  EXPECT_EQ(with_interim(1), 202u);
  EXPECT_EQ(with_interim(kMaxInterimAnswers), 202u);
  ExpectError(with_interim(kMaxInterimAnswers + 1), Errc::kMalformed, "hooks.example sent more than 4 interim answers");
}

std::string HeadOfSize(std::size_t size) {
  std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
  head.append(size - head.size() - 4, 'x');
  return head + "\r\n\r\n";
}

TEST_F(HttpPostTest, LimitsTheHeadOfAnAnswer) {
  EXPECT_EQ(Answered(HeadOfSize(kMaxAnswerHead)), 200u);
  ExpectError(Answered(HeadOfSize(kMaxAnswerHead + 1)), Errc::kMalformed, "a head of more than 16384 bytes");
}

TEST_F(HttpPostTest, EndsAnEndlessHead) {
  for (const std::string& piece : {std::string("X: y\r\n"), std::string(4000, 'x')}) {
    std::promise<void> refused;
    Receiver receiver([&](Peer& peer) {
      ReadRequest(peer);
      peer.Write("HTTP/1.1 200 OK\r\n");
      while (peer.Write(piece)) {
      }
      refused.set_value();
    });
    ExpectError(Post(Plain(receiver)), Errc::kMalformed, "a head of more than 16384 bytes");
    refused.get_future().get();
  }
}

TEST_F(HttpPostTest, ReadsABodyToItsEnd) {
  const std::string body(kMaxAnswerBody, 'x');
  const std::string chunked =
      fmt::format("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", body.size(), body);
  const std::string counted = fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  for (const std::string& answer : {chunked, counted}) {
    std::promise<bool> in_order;
    Receiver receiver([&](Peer& peer) {
      ReadRequest(peer);
      peer.Write(answer);
      in_order.set_value(peer.ReadToEnd());
    });
    EXPECT_EQ(Post(Plain(receiver)), 200u);
    EXPECT_TRUE(in_order.get_future().get());
  }
}

// A connection that is closed before everything was read ends with a reset (RFC 1122 4.2.2.13): so it shows.
TEST_F(HttpPostTest, ReadsNoMoreOfABodyThanTheLimit) {
  for (const char* framing : {"Content-Length: 10000000000\r\n", "Transfer-Encoding: chunked\r\n", ""}) {
    std::atomic<std::size_t> taken = 0;
    std::promise<void> refused;
    Receiver receiver([&](Peer& peer) {
      ReadRequest(peer);
      peer.Write(fmt::format("HTTP/1.1 200 OK\r\n{}\r\n", framing));
      const std::string piece = "1000\r\n" + std::string(4096, 'x') + "\r\n";
      while (peer.Write(piece)) taken += piece.size();
      refused.set_value();
    });
    EXPECT_EQ(Post(Plain(receiver)), 200u) << framing;
    refused.get_future().get();
    EXPECT_LT(taken, 64u * 1024 * 1024) << framing;  // what the kernel had taken in
  }
}

TEST_F(HttpPostTest, CountsTheStatusEvenWhenTheBodyIsBroken) {
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), 200u);
  EXPECT_EQ(Answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 200u);
  EXPECT_EQ(Answered("HTTP/1.0 200 OK\r\n\r\nuntil the end"), 200u);
  Receiver dripping([](Peer& peer) {
    ReadRequest(peer);
    peer.Write("HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nx");
    peer.ReadToEnd();
  });
  EXPECT_EQ(Post(Plain(dripping), milliseconds(200)), 201u);
}

TEST_F(HttpPostTest, RefusesWhatIsNoHttp) {
  for (const std::string answer :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "<html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    ExpectError(Answered(answer), Errc::kMalformed, "hooks.example answered what is not HTTP");
  }
  ExpectError(Answered(std::string(100, '\0')), Errc::kMalformed, "not HTTP");
}

TEST_F(HttpPostTest, SaysWhenTheReceiverCloses) {
  ExpectError(Answered(""), Errc::kDisconnected, "hooks.example closed the connection");
  ExpectError(Answered("HTTP/1.1 200"), Errc::kDisconnected, "closed the connection");
  ExpectError(Answered("HTTP/1.1 200 OK\r\nX: y\r\n"), Errc::kDisconnected, "closed the connection");
  Receiver resetting([](Peer& peer) {
    ReadRequest(peer);
    peer.Reset();
  });
  ExpectError(Post(Plain(resetting)), Errc::kDisconnected, "closed the connection");
}

TEST_F(HttpPostTest, SaysWhenNobodyListens) {
  std::uint16_t port = 0;
  {
    port = Receiver([](Peer&) {}).port();
  }
  ExpectError(Post(fmt::format("http://hooks.example:{}/", port)), Errc::kUnavailable,
              fmt::format("cannot connect to 127.0.0.1 port {}: Connection refused", port));
}

TEST_F(HttpPostTest, EndsAtTheDeadlineWhateverIsUnderWay) {
  constexpr milliseconds kSoon{100};
  Receiver silent([](Peer& peer) { peer.ReadToEnd(); });
  ExpectError(Post(Plain(silent), kSoon), Errc::kTimeout, "waiting for the answer took too long");
  ExpectError(Post(Secure(silent), kSoon), Errc::kTimeout, "agreeing on TLS took too long");

  std::promise<void> over;
  Receiver deaf([end = over.get_future().share()](Peer&) { end.wait(); });
  auto poster = MakePoster();
  ExpectError(Post(*poster, Request(Plain(deaf), std::string(64 << 20, 'x')), kSoon), Errc::kTimeout,
              "sending the message took too long");
  over.set_value();

  std::promise<void> found;
  lookup_ = [end = found.get_future().share()](const std::string&) -> Result<aio::Addresses> {
    end.wait();
    return aio::Addresses{};
  };
  // The poster goes while the name is still being looked up.
  ExpectError(Post(Plain(silent), kSoon), Errc::kTimeout, "looking up");
  found.set_value();
}

// A socket whose queue of new connections is full drops what would be one more: the client hears nothing.
class FullListener {
 public:
  explicit FullListener(const char* address, std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &own.sin_addr);
    const auto* const raw = reinterpret_cast<const sockaddr*>(&own);
    if (::bind(fd_.Get(), raw, sizeof own) != 0 || ::listen(fd_.Get(), 0) != 0)
      throw std::runtime_error("cannot listen");
    for (int i = 0; i < 4; ++i) {
      waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      ::connect(waiting_.back().Get(), raw, sizeof own);
    }
  }

 private:
  UniqueFd fd_;
  std::vector<UniqueFd> waiting_;
};

TEST_F(HttpPostTest, LeavesTimeForTheNextAddress) {
  policy_ = *CallbackPolicy::Parse({}, {"127.0.0.0/8"});
  Receiver receiver([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  const FullListener full("127.0.0.2", receiver.port());
  Resolve({"127.0.0.2"});
  ExpectError(Post(Plain(receiver), milliseconds(300)), Errc::kUnavailable, "cannot connect to 127.0.0.2");
  Resolve({"127.0.0.2", "127.0.0.1"});
  EXPECT_EQ(Post(Plain(receiver), seconds(3)), 200u);
}

TEST_F(HttpPostTest, TriesSoManyAddresses) {
  policy_ = *CallbackPolicy::Parse({}, {"127.0.0.0/8"});
  Receiver receiver([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  std::vector<std::string> addresses(kMaxAddresses - 1, "127.0.0.2");
  addresses.push_back("127.0.0.1");
  Resolve(addresses);
  EXPECT_EQ(Post(Plain(receiver)), 200u);
  addresses.insert(addresses.begin(), "127.0.0.2");
  Resolve(addresses);
  ExpectError(Post(Plain(receiver)), Errc::kUnavailable, "cannot connect to 127.0.0.2");
}

TEST_F(HttpPostTest, ConnectsToNoAddressThatThePolicyRefuses) {
  Receiver allowed([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  // On the same port of another address: whoever connects to it has not asked the policy.
  Receiver forbidden([](Peer&) {}, std::nullopt, "127.0.0.2");
  const std::string url = fmt::format("http://hooks.example:{}/", forbidden.port());
  for (const char* address : {"127.0.0.2", "::ffff:127.0.0.2", "::1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::"}) {
    Resolve({address});
    ExpectError(Post(url), Errc::kMalformed, std::string("hooks.example leads to ") + address);
  }
  ExpectError(Post(fmt::format("http://127.0.0.2:{}/", forbidden.port())), Errc::kMalformed,
              "webhook.private_networks");
  EXPECT_EQ(forbidden.connections(), 0u);
  Resolve({"127.0.0.2", "10.0.0.1", "127.0.0.1"});
  EXPECT_EQ(Post(Plain(allowed)), 200u);
}

TEST_F(HttpPostTest, LooksANameUpOnceAndVetsWhatItConnectsTo) {
  Receiver receiver([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  // Rebinding: the name is harmless at the first look and leads elsewhere from then on.
  std::atomic<int> lookups = 0;
  lookup_ = [&](const std::string& host) -> Result<aio::Addresses> {
    EXPECT_EQ(host, "hooks.example");
    return aio::Addresses{asio::ip::make_address(++lookups == 1 ? "127.0.0.1" : "127.0.0.2")};
  };
  auto poster = MakePoster();
  EXPECT_EQ(Post(*poster, Request(Plain(receiver))), 200u);
  EXPECT_EQ(lookups, 1);
  ExpectError(Post(*poster, Request(Plain(receiver))), Errc::kMalformed, "hooks.example leads to 127.0.0.2");
  EXPECT_EQ(lookups, 2);
  EXPECT_EQ(receiver.connections(), 1u);
}

TEST_F(HttpPostTest, NeedsNoLookupForAnAddress) {
  Receiver receiver([](Peer& peer) {
    ReadRequest(peer);
    peer.Write(Answer(200));
  });
  lookup_ = [](const std::string& host) -> Result<aio::Addresses> {
    ADD_FAILURE() << host;
    return aio::Addresses{};
  };
  EXPECT_EQ(Post(fmt::format("http://127.0.0.1:{}/", receiver.port())), 200u);
}

TEST_F(HttpPostTest, PassesOnWhyANameHasNoAddress) {
  lookup_ = [](const std::string&) -> Result<aio::Addresses> { return Fail(Errc::kUnavailable, "no such name"); };
  ExpectError(Post("http://hooks.example/"), Errc::kUnavailable, "no such name");
  Resolve({});
  ExpectError(Post("http://hooks.example/"), Errc::kUnavailable, "hooks.example has no address");
}

TEST_F(HttpPostTest, FailuresDoNotShowTheTarget) {
  for (const char* url : {"http://hooks.example:1/s3cret?s3cret", "https://hooks.example:1/s3cret"}) {
    const auto status = Post(url);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().what, Not(HasSubstr("s3cret")));
  }
}

TEST_F(HttpPostTest, CanBeCancelled) {
  for (const bool tls : {false, true}) {
    std::promise<bool> connected, ended;
    Receiver silent([&](Peer& peer) {
      connected.set_value(!peer.ReadSome().empty());
      ended.set_value(true);
      peer.ReadToEnd();
    });
    auto poster = MakePoster();
    aio::TaskGroup group(io_.get_executor(), [](std::exception_ptr) { ADD_FAILURE(); });
    group.Spawn([](HttpPoster& p, PostRequest request) -> aio::Task<> {
      co_await p.Post(std::move(request), std::chrono::steady_clock::now() + kPatience);
    }(*poster, Request(tls ? Secure(silent) : Plain(silent))));
    std::thread canceller([&] {
      connected.get_future().get();
      asio::post(io_, [&] {
        group.Close();
        group.CancelAll();
      });
    });
    const auto start = std::chrono::steady_clock::now();
    io_.restart();
    io_.run();
    EXPECT_LT(std::chrono::steady_clock::now() - start, kPatience);
    canceller.join();
  }
}

}  // namespace
}  // namespace lazaret::webhook
