#include "base/unix_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include <fmt/format.h>

namespace lazaret {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class UnixSocket : public testing::Test {
 protected:
  UnixSocket() {
    std::string pattern = (fs::temp_directory_path() / "lazaret-test-XXXXXX").native();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = pattern;
  }
  ~UnixSocket() override { fs::remove_all(root_); }

  // What a server that was killed leaves behind: the file of a socket that is closed.
  void LeaveStaleFile(const fs::path& path, int type = SOCK_STREAM) const { (void)Bind(path, type); }
  UniqueFd Bind(const fs::path& path, int type) const {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  static mode_t ModeOf(const fs::path& path) {
    struct stat found{};
    return ::lstat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
  }

  fs::path root_;
};

TEST_F(UnixSocket, CarriesBytesBothWays) {
  const auto listener = UnixListener::Open(root_ / "s", 0600);
  ASSERT_TRUE(listener) << listener.error().what;
  const auto client = ConnectToUnixSocket(root_ / "s");
  ASSERT_TRUE(client) << client.error().what;
  EXPECT_EQ(::fcntl(client->Get(), F_GETFL) & O_NONBLOCK, 0);
  const UniqueFd server(::accept4(listener->Get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(server);
  char byte = 0;
  EXPECT_EQ(::send(client->Get(), "a", 1, 0), 1);
  EXPECT_EQ(::recv(server.Get(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'a');
}

TEST_F(UnixSocket, HasItsModeWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  for (const mode_t mode : {0600u, 0660u, 0666u}) {
    const auto listener = UnixListener::Open(root_ / "umask", mode);
    EXPECT_EQ(ModeOf(root_ / "umask"), mode);
  }
  ::umask(0);
  const auto listener = UnixListener::Open(root_ / "none", 0600);
  ::umask(before);
  ASSERT_TRUE(listener);
  EXPECT_EQ(ModeOf(root_ / "none"), 0600u);
}

TEST_F(UnixSocket, IsGivenToItsOwner) {
  const passwd* const user = ::getpwuid(::geteuid());
  const group* const group = ::getgrgid(::getegid());
  ASSERT_TRUE(user != nullptr && group != nullptr);
  for (const std::string& owner : {std::string(user->pw_name), fmt::format(":{}", group->gr_name),
                                   fmt::format("{}:{}", user->pw_name, group->gr_name)}) {
    const auto listener = UnixListener::Open(root_ / "s", 0640, owner);
    ASSERT_TRUE(listener) << owner << ": " << listener.error().what;
    EXPECT_EQ(ModeOf(root_ / "s"), 0640u);
  }
  if (const ::group* const other = ::getgrnam("nogroup"); ::geteuid() == 0 && other != nullptr) {
    const auto listener = UnixListener::Open(root_ / "s", 0660, ":nogroup");
    ASSERT_TRUE(listener) << listener.error().what;
    struct stat found{};
    ASSERT_EQ(::lstat((root_ / "s").c_str(), &found), 0);
    EXPECT_EQ(found.st_gid, other->gr_gid);
    EXPECT_EQ(found.st_uid, 0u);
    EXPECT_EQ(ModeOf(root_ / "s"), 0660u);
  }
  for (const std::string owner : {"nobody-of-that-name", ":no-group-of-that-name", "root:", ":"}) {
    const auto listener = UnixListener::Open(root_ / "s", 0600, owner);
    ASSERT_FALSE(listener) << owner;
    EXPECT_EQ(listener.error().code, Errc::kMalformed);
    EXPECT_THAT(listener.error().what, HasSubstr((root_ / "s").native() + ": there is no "));
    EXPECT_FALSE(fs::exists(root_ / "s"));
  }
}

TEST_F(UnixSocket, GoesWithItsFile) {
  ASSERT_TRUE(UnixListener::Open(root_ / "s", 0600));
  EXPECT_FALSE(fs::exists(fs::symlink_status(root_ / "s")));
  const auto nobody = ConnectToUnixSocket(root_ / "s");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::kNotFound);
  EXPECT_THAT(nobody.error().what, HasSubstr((root_ / "s").native()));
}

TEST_F(UnixSocket, LeavesTheFileOfWhoeverTookItsPlace) {
  auto first = UnixListener::Open(root_ / "s", 0600);
  ASSERT_TRUE(first);
  fs::remove(root_ / "s");
  const auto second = UnixListener::Open(root_ / "s", 0600);
  ASSERT_TRUE(second);
  first->Close();
  EXPECT_TRUE(ConnectToUnixSocket(root_ / "s"));
}

TEST_F(UnixSocket, ReplacesWhatADeadServerLeft) {
  LeaveStaleFile(root_ / "s");
  const auto nobody = ConnectToUnixSocket(root_ / "s");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::kNotFound);
  const auto listener = UnixListener::Open(root_ / "s", 0600);
  ASSERT_TRUE(listener) << listener.error().what;
  EXPECT_TRUE(ConnectToUnixSocket(root_ / "s"));
}

TEST_F(UnixSocket, RefusesAPlaceThatIsTaken) {
  const auto first = UnixListener::Open(root_ / "s", 0600);
  ASSERT_TRUE(first);
  const auto second = UnixListener::Open(root_ / "s", 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_THAT(second.error().what, HasSubstr("somebody listens there already"));
  EXPECT_TRUE(ConnectToUnixSocket(root_ / "s")) << "the first is not disturbed";

  const UniqueFd packets = Bind(root_ / "packets", SOCK_SEQPACKET);
  const auto other_kind = UnixListener::Open(root_ / "packets", 0600);
  ASSERT_FALSE(other_kind);
  EXPECT_THAT(other_kind.error().what, HasSubstr("somebody listens there already"));
}

TEST_F(UnixSocket, NeverRemovesAFileThatIsNoSocket) {
  std::ofstream(root_ / "file") << "precious";
  fs::create_symlink(root_ / "file", root_ / "link");
  for (const char* name : {"file", "link"}) {
    const auto listener = UnixListener::Open(root_ / name, 0600);
    ASSERT_FALSE(listener);
    EXPECT_THAT(listener.error().what, HasSubstr("no socket"));
    EXPECT_EQ(fs::file_size(root_ / name), 8u);
  }
}

TEST_F(UnixSocket, SaysThatAPathIsTooLong) {
  const auto path = [&](std::size_t size) { return root_ / std::string(size - root_.native().size() - 1, 'x'); };
  const auto longest = UnixListener::Open(path(kMaxSocketPath), 0600);
  ASSERT_TRUE(longest) << longest.error().what;
  EXPECT_TRUE(ConnectToUnixSocket(path(kMaxSocketPath)));
  const auto listener = UnixListener::Open(path(kMaxSocketPath + 1), 0600);
  const auto client = ConnectToUnixSocket(path(kMaxSocketPath + 1));
  ASSERT_FALSE(listener);
  ASSERT_FALSE(client);
  for (const Error& error : {listener.error(), client.error()}) {
    EXPECT_EQ(error.code, Errc::kMalformed);
    EXPECT_THAT(error.what, HasSubstr("1 to 107 bytes, not 108"));
  }
  EXPECT_FALSE(ConnectToUnixSocket(""));
}

TEST_F(UnixSocket, NamesADirectoryThatIsMissing) {
  const auto listener = UnixListener::Open(root_ / "none" / "s", 0600);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::kUnavailable);
  EXPECT_THAT(listener.error().what, HasSubstr((root_ / "none" / "s").native() + ": No such file or directory"));
}

}  // namespace
}  // namespace lazaret
