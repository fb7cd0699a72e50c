#include <openssl/ssl.h>

#include "webhook/http_post_fixture.h"

namespace lazaret::webhook {
namespace {

using testing::HasSubstr;

class HttpPostTlsTest : public HttpPostTest {
 protected:
  HttpPostTlsTest() : ca_file_(authority_.certificate()) {}

  // What becomes of a post to a receiver that shows `certificate`.
  Result<unsigned> PostTo(Certificate certificate, std::string_view host = "hooks.example", int max_version = 0) {
    Receiver receiver(
        [&](Peer& peer) {
          server_name_ = peer.server_name();
          if (ReadRequest(peer)) ++requests_;
          peer.Write(Answer(200));
        },
        std::move(certificate));
    receiver.max_tls_version = max_version;
    return Post(*MakePoster(ca_file_.path()), Request(Secure(receiver, host)));
  }

  TestAuthority authority_;
  const TestFile ca_file_;
  std::string server_name_;
  int requests_ = 0;
};

TEST_F(HttpPostTlsTest, TrustsACertificateForTheHost) {
  EXPECT_EQ(PostTo(authority_.Issue({.names = {"DNS:other.example", "DNS:hooks.example"}})), 200u);
  EXPECT_EQ(server_name_, "hooks.example");
  EXPECT_EQ(PostTo(authority_.Issue({.names = {"DNS:*.example.com"}}), "Hooks.Example.com"), 200u);
  EXPECT_EQ(server_name_, "hooks.example.com");
  EXPECT_EQ(requests_, 2);
}

TEST_F(HttpPostTlsTest, TrustsACertificateForAnAddress) {
  EXPECT_EQ(PostTo(authority_.Issue({.names = {"IP:127.0.0.1"}}), "127.0.0.1"), 200u);
  EXPECT_EQ(server_name_, "");
}

TEST_F(HttpPostTlsTest, RefusesCertificatesForOtherHosts) {
  for (const char* name : {"DNS:other.example", "DNS:example", "DNS:*.hooks.example", "DNS:h*.example",
                           "DNS:*.example.org", "IP:127.0.0.1", "email:hooks.example@hooks.example"}) {
    ExpectError(PostTo(authority_.Issue({.names = {name}})), Errc::kUnavailable,
                "the certificate of hooks.example is not trusted: hostname mismatch");
  }
  // Names below the wildcard's level, and names that stand in the subject only.
  ExpectError(PostTo(authority_.Issue({.names = {"DNS:*.example.com"}}), "a.hooks.example.com"), Errc::kUnavailable,
              "hostname");
  ExpectError(PostTo(authority_.Issue({.common_name = "hooks.example"})), Errc::kUnavailable, "hostname mismatch");
  for (const char* name : {"DNS:127.0.0.1", "IP:127.0.0.2", "DNS:hooks.example"}) {
    ExpectError(PostTo(authority_.Issue({.names = {name}}), "127.0.0.1"), Errc::kUnavailable, "IP address mismatch");
  }
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpPostTlsTest, RefusesCertificatesOutOfTheirTime) {
  using std::chrono::hours;
  const std::vector<std::string> names = {"DNS:hooks.example"};
  ExpectError(PostTo(authority_.Issue({.names = names, .valid_from = hours(-48), .valid_for = hours(47)})),
              Errc::kUnavailable, "certificate has expired");
  ExpectError(PostTo(authority_.Issue({.names = names, .valid_from = hours(1)})), Errc::kUnavailable, "not yet valid");
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpPostTlsTest, RefusesCertificatesOfOtherAuthorities) {
  const CertificateOptions options{.names = {"DNS:hooks.example"}};
  ExpectError(PostTo(TestAuthority::IssueSelfSigned(options)), Errc::kUnavailable, "self-signed certificate");
  ExpectError(PostTo(TestAuthority().Issue(options)), Errc::kUnavailable,
              "the certificate of hooks.example is not trusted");
  EXPECT_EQ(requests_, 0);
}

TEST_F(HttpPostTlsTest, TrustsTheAuthoritiesOfTheSystemWithoutAFile) {
  Receiver receiver([&](Peer&) { ++requests_; }, authority_.Issue({.names = {"DNS:hooks.example"}}));
  ExpectError(Post(*MakePoster(), Request(Secure(receiver))), Errc::kUnavailable, "is not trusted");
  EXPECT_EQ(requests_, 0);
  // OpenSSL reads the name of the system's file from here (SSL_CTX_set_default_verify_paths(3)).
  ::setenv("SSL_CERT_FILE", ca_file_.path().c_str(), 1);
  Receiver trusted(
      [&](Peer& peer) {
        ReadRequest(peer);
        peer.Write(Answer(200));
      },
      authority_.Issue({.names = {"DNS:hooks.example"}}));
  EXPECT_EQ(Post(*MakePoster(), Request(Secure(trusted))), 200u);
  ::unsetenv("SSL_CERT_FILE");
}

TEST_F(HttpPostTlsTest, NeedsTls12) {
  const CertificateOptions options{.names = {"DNS:hooks.example"}};
  ExpectError(PostTo(authority_.Issue(options), "hooks.example", TLS1_1_VERSION), Errc::kUnavailable,
              "no TLS connection");
  EXPECT_EQ(requests_, 0);
  EXPECT_EQ(PostTo(authority_.Issue(options), "hooks.example", TLS1_2_VERSION), 200u);
  EXPECT_EQ(PostTo(authority_.Issue(options), "hooks.example", TLS1_3_VERSION), 200u);
}

TEST_F(HttpPostTlsTest, SaysWhenTheReceiverSpeaksNoTls) {
  Receiver plain([](Peer& peer) {
    peer.ReadSome();
    peer.Write(Answer(200));
  });
  ExpectError(Post(*MakePoster(), Request(Secure(plain))), Errc::kUnavailable, "no TLS connection to hooks.example");
}

TEST_F(HttpPostTlsTest, ReadsLongAnswers) {
  Receiver receiver(
      [](Peer& peer) {
        ReadRequest(peer);
        peer.Write("HTTP/1.1 202 Accepted\r\n\r\n");
        while (peer.Write(std::string(4096, 'x'))) {
        }
      },
      authority_.Issue({.names = {"DNS:hooks.example"}}));
  EXPECT_EQ(Post(*MakePoster(ca_file_.path()), Request(Secure(receiver), std::string(1 << 20, 'b'))), 202u);
}

TEST_F(HttpPostTlsTest, EndsAtTheDeadline) {
  Receiver silent([](Peer& peer) { peer.ReadToEnd(); }, authority_.Issue({.names = {"DNS:hooks.example"}}));
  ExpectError(Post(*MakePoster(ca_file_.path()), Request(Secure(silent)), milliseconds(300)), Errc::kTimeout,
              "took too long");
}

TEST_F(HttpPostTlsTest, NamesTheFileThatCannotBeRead) {
  const TestFile broken("no certificate");
  for (const std::string& path : {broken.path(), std::string("/nonexistent/ca.pem")}) {
    const auto poster = HttpPoster::Make(path, policy_, lookup_, 1);
    ASSERT_FALSE(poster);
    EXPECT_THAT(poster.error().what, testing::AllOf(HasSubstr("webhook.ca_file"), HasSubstr(path)));
  }
}

}  // namespace
}  // namespace lazaret::webhook
