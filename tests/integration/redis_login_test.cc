// Who is let in where: users and passwords, certificates.
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "integration/redis_fixture.h"
#include "integration/redis_process.h"

namespace lazaret::tests {
namespace {

using redis::Reply;
using testing::HasSubstr;
using testing::Not;

TEST(RedisLogin, LogsInAsTheUrlSays) {
  RedisProcess server(
      {.arguments = {"--user", "scanner", "on", ">s3cr@t", "~*", "+@all", "--requirepass", "default-pass"}});
  for (const auto& [user, name] : std::vector<std::pair<std::string, std::string>>{{"scanner:s3cr%40t", "scanner"},
                                                                                   {":default-pass", "default"}}) {
    RunningClient client(fmt::format("redis://{}@127.0.0.1:{}/3?client_name=me", user, server.port()));
    EXPECT_THAT(client.Ask("", {"ACL", "WHOAMI"}), Answers(Reply::Bulk(name)));
    EXPECT_THAT(client.Ask("", {"CLIENT", "INFO"})->text(), testing::AllOf(HasSubstr("name=me"), HasSubstr("db=3")));
  }
}

TEST(RedisLogin, SaysWhenItIsNotLetIn) {
  RedisProcess server(
      {.arguments = {"--user", "scanner", "on", ">s3cr@t", "~*", "+@all", "--requirepass", "default-pass"}});
  const auto error = [&](const std::string& user) {
    RunningClient client(fmt::format("redis://{}127.0.0.1:{}", user, server.port()));
    const auto reply = client.Ask("", {"PING"});
    return reply ? Error{Errc::kInternal, "it was let in"} : reply.error();
  };
  EXPECT_THAT(error("scanner:wrong-one@").what, testing::AllOf(HasSubstr("WRONGPASS"), Not(HasSubstr("wrong-one"))));
  EXPECT_THAT(error("nobody:wrong-one@").what, HasSubstr("WRONGPASS"));
  EXPECT_THAT(error("").what, HasSubstr("NOAUTH"));
  EXPECT_EQ(error("").code, Errc::kUnavailable);
}

TEST(RedisLogin, ManagesWithoutHello) {
  RedisProcess server({.arguments = {"--rename-command", "HELLO", "", "--user", "scanner", "on", ">s3cr@t", "~*",
                                     "+@all", "--requirepass", "default-pass"}});
  RunningClient client(fmt::format("redis://scanner:s3cr%40t@127.0.0.1:{}?client_name=me", server.port()));
  EXPECT_THAT(client.Ask("", {"CLIENT", "INFO"})->text(),
              testing::AllOf(HasSubstr("name=me"), HasSubstr("user=scanner")));
  RunningClient wrong(fmt::format("redis://scanner:wrong-one@127.0.0.1:{}", server.port()));
  EXPECT_THAT(wrong.Ask("", {"PING"}), FailsWith(Errc::kUnavailable, "WRONGPASS"));
  // Redis quotes the arguments of what it does not know, and a password may be one.
  EXPECT_THAT(client.Ask("", {"HELLO", "2", "AUTH", "scanner", "s3cr@t"}).error().what, Not(HasSubstr("s3cr@t")));
}

TEST(RedisTls, TrustsOnlyTheRightCertificates) {
  const TestDirectory directory;
  const RedisCertificates files(directory);
  const auto start = [&](std::string_view name, std::string_view auth_clients) {
    RedisOptions options{.tls = true, .certificates = &files};
    options.arguments = {"--tls-cert-file",    files.File(fmt::format("{}.crt", name)),
                         "--tls-key-file",     files.File(fmt::format("{}.key", name)),
                         "--tls-auth-clients", std::string(auth_clients)};
    return std::make_unique<RedisProcess>(options);
  };
  const auto ping = [&](const std::string& url) {
    RunningClient client(url);
    return client.Ask("", {"PING"});
  };
  const std::string ca = "?ca_file=" + files.File("ca.crt");
  const auto server = start("server", "no");
  EXPECT_TRUE(ping(server->Url() + ca));
  EXPECT_TRUE(ping(fmt::format("rediss://127.0.0.1:{}{}", server->port(), ca)));
  EXPECT_THAT(ping(server->Url() + "?ca_file=" + files.File("another.crt")),
              FailsWith(Errc::kUnavailable, "is not trusted"));
  EXPECT_THAT(ping(server->Url()), FailsWith(Errc::kUnavailable, "is not trusted"));
  EXPECT_THAT(ping(server->Url() + ca + "&server_name=redis.example"), FailsWith(Errc::kUnavailable, "is not trusted"));

  const auto other = start("other", "no");
  EXPECT_THAT(ping(other->Url() + ca), FailsWith(Errc::kUnavailable, "hostname mismatch"));
  EXPECT_TRUE(ping(other->Url() + ca + "&server_name=redis.example"));

  const auto strict = start("server", "yes");
  EXPECT_THAT(ping(strict->Url() + ca), FailsWith(Errc::kUnavailable));
  EXPECT_TRUE(
      ping(strict->Url() + ca + "&cert_file=" + files.File("client.crt") + "&key_file=" + files.File("client.key")));
}

TEST(RedisTls, NamesFilesThatCannotBeUsed) {
  Log log(LogFormat::kText, LogLevel::kError);
  IoThread io;
  const auto url = redis::Url::Parse("rediss://localhost?ca_file=/nowhere/ca.crt");
  EXPECT_THAT(redis::MakeTlsContext(url->tls_options), FailsWith(Errc::kUnavailable, "/nowhere/ca.crt"));
}

}  // namespace
}  // namespace lazaret::tests
