#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "integration/server_fixture.h"
#include "integration/test_directory.h"

namespace lazaret::tests {

// A blocking client of clamd's protocol that sends whatever bytes and descriptors a test wants. Every wait ends with a
// failure of the test's expectations after a minute.
class ClamdClient {
 public:
  explicit ClamdClient(const std::filesystem::path& socket);

  // False when the server does not take them any more. The descriptors stay the caller's.
  bool Send(std::string_view bytes, const std::vector<int>& fds = {});
  void CloseSending();
  // Everything up to the end of the connection.
  std::string ReceiveAll();
  // Up to and with the next `terminator`; less when the connection ends.
  std::string Receive(char terminator);
  bool is_open() const { return static_cast<bool>(fd_); }

 private:
  bool ReceiveMore();

  UniqueFd fd_;
  std::string received_;
};

// The answer to `request` on a connection of its own.
std::string Ask(const std::filesystem::path& socket, std::string_view request);

// A content as INSTREAM carries it, with its end.
std::string Stream(std::string_view content, std::size_t chunk = 64 * 1024);

struct Output {
  int status = -1;
  std::string text;  // standard output and error
};
// Runs a program to its end.
Output RunProgram(std::vector<std::string> command);

std::vector<std::string> Lines(std::string_view text);
// With "fd[N]" for every number of a descriptor: they differ by nature.
std::string Comparable(const std::string& replies);

UniqueFd OpenFile(const std::filesystem::path& path, int flags = O_RDONLY);

// A server that speaks clamd's protocol, and what it is compared with.
class ClamdDoorTest : public ServerTest {
 protected:
  ClamdDoorTest();
  // Listens on socket() and allows files().
  ServerProcess& StartDoor(std::vector<std::string> arguments = {});
  ServerProcess& StartDoorWithHooks(std::vector<std::string> arguments = {});
  std::vector<std::string> DoorArguments(std::vector<std::string> more) const;

  std::filesystem::path socket() const { return root_ / "door.sock"; }
  std::string files() const { return (root_ / "files").native(); }
  std::size_t OpenDescriptors();
};

}  // namespace lazaret::tests
