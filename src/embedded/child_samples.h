#pragma once

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <string>
#include <utility>

namespace lazaret::embedded {

// What a process does to itself (limits, kill, another user) is done in a child that is forked before any thread runs.
template <class Body>
pid_t Fork(Body body) {
  std::cout << std::flush;
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  bool passed = false;
  try {
    body();
    passed = !testing::Test::HasFailure();
  } catch (const std::exception& e) {
    std::cerr << "child: " << e.what() << std::endl;
  }
  std::cout << std::flush;
  ::_exit(passed ? 0 : 1);
}

// Fails the test when `body` does, or throws.
template <class Body>
void RunInChild(Body body) {
  const pid_t pid = Fork(std::move(body));
  ASSERT_GT(pid, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed with wait status " << status;
}

// A file system of a few bytes at `path`, seen by this process alone, with which it goes. False when it may not mount.
inline bool MountTmpfs(const std::string& path, const char* size) {
  return (::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", path.c_str(), "tmpfs", 0, size) == 0;
}
inline bool ResizeTmpfs(const std::string& path, const char* size) {
  return ::mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, size) == 0;
}

}  // namespace lazaret::embedded
