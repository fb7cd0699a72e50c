#include "webhook/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace lazaret::webhook {
namespace {

using testing::HasSubstr;
using testing::Not;

// The bytes 0, 1, 2, ... of each length.
constexpr const char* kSecret23 = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=";
constexpr const char* kSecret24 = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
constexpr const char* kSecret32 = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr const char* kSecret64 =
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
constexpr const char* kSecret65 =
    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=";

constexpr const char* kId = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W";
constexpr const char* kBody = R"({"id":"275a021b","verdict":"clean"})";

std::string Sign(const std::vector<std::string>& secrets, std::string_view id, std::int64_t time,
                 std::string_view body) {
  const auto signer = Signer::Parse(secrets);
  if (!signer) throw std::runtime_error(signer.error().what);
  return signer->Sign(id, time, body);
}

// The example that libraries of the convention are tested with.
TEST(Signer, SignsThePublicExample) {
  EXPECT_EQ(Sign({"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                 R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

// Computed with hmac, hashlib and base64 of Python.
TEST(Signer, SignsWithSecretsOfEveryLength) {
  EXPECT_EQ(Sign({kSecret24}, kId, 1674087231, kBody), "v1,syNOshEImNOaYzEkClHU/iuUTQMfezZuWiBo/TDYx7w=");
  EXPECT_EQ(Sign({kSecret32}, kId, 1674087231, kBody), "v1,v6v30R9kr9rOjMWk94TkOr89nRzpnXGB/r0l3g6edjI=");
  EXPECT_EQ(Sign({kSecret64}, kId, 1674087231, kBody), "v1,LSnM9Ss//vrjbm3FtsHyJhX44JF4VVe0k4QRSrMshI4=");
  EXPECT_EQ(Sign({kSecret32}, "m", 0, ""), "v1,UjFbwlC3+25BndkRm6m1Tr6SkklaR1xWGw5XUeb14nQ=");
}

TEST(Signer, SignsOnceForEachSecret) {
  EXPECT_EQ(Sign({kSecret32, kSecret24}, kId, 1674087231, kBody),
            "v1,v6v30R9kr9rOjMWk94TkOr89nRzpnXGB/r0l3g6edjI= v1,syNOshEImNOaYzEkClHU/iuUTQMfezZuWiBo/TDYx7w=");
  EXPECT_EQ(Sign({}, kId, 1674087231, kBody), "");
}

TEST(Signer, RefusesSecretsWithoutShowingThem) {
  for (const std::string secret : {
           "",
           "whsec_",
           kSecret23,
           kSecret65,
           "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",                     // no prefix
           "WHSEC_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",               // another one
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",    // no padding
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",  // too much of it
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",   // bits in it
           "whsec_AAEC=wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",   // padding inside
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka====",
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY_",  // of the other alphabet
           "whsec_ AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
           "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n",
       }) {
    const auto signer = Signer::Parse({kSecret24, secret});
    ASSERT_FALSE(signer) << secret;
    EXPECT_EQ(signer.error().code, Errc::kMalformed);
    EXPECT_THAT(signer.error().what, HasSubstr("webhook.secret_file: number 2"));
    EXPECT_THAT(signer.error().what, Not(HasSubstr("AAECAw")));
  }
}

}  // namespace
}  // namespace lazaret::webhook
