#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "integration/run_lazaret.h"
#include "integration/server_fixture.h"

namespace lazaret::tests {

// One of several servers with the same signature directory, quick to notice its changes, with a data directory of its
// own.
class SignatureNode {
 public:
  SignatureNode(ServerOptions options, const TestDirectory& root, std::string name)
      : name_(std::move(name)), data_(root / name_) {
    options.data = data_;
    options.arguments.insert(options.arguments.end(),
                             {"--set", "signatures.settle=50ms", "--set", "redis.node=" + name_});
    process_ = std::make_unique<ServerProcess>(options);
  }

  const std::string& name() const { return name_; }
  ServerProcess& process() { return *process_; }
  std::uint16_t port() const { return process_->port(); }
  bool IsReady() const { return process_->WaitUntilReady(); }

  Outcome Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--data", data_.native()});
    return RunLazaret(std::move(arguments));
  }
  boost::json::object Info() const {
    const auto info = Get(port(), "/v1/info");
    EXPECT_THAT(info, HasStatus(200));
    return info ? ParseJson(*info) : boost::json::object();
  }
  // A member of signature_status that is an object; empty when it is null.
  boost::json::object Part(std::string_view key) const {
    const auto info = Info();
    const auto* const status = info.if_contains("signature_status");
    if (status == nullptr || !status->is_object()) return {};
    const auto& value = status->get_object().at(key);
    return value.is_object() ? value.get_object() : boost::json::object();
  }
  std::string SetInUse() const { return TextOf(Part("current"), "digest"); }
  std::string Phase() const { return TextOf(Part("candidate"), "phase"); }

  Result<HttpResponse> Scan(std::string_view content) const { return Post(port(), "/v1/scan", content); }
  // "clean", "infected by override", ...; what went wrong otherwise.
  std::string Says(std::string_view content) const {
    const auto answer = Scan(content);
    if (!answer || answer->status != 200) return answer ? answer->body : answer.error().what;
    const auto scan = ParseJson(*answer);
    return TextOf(scan, "verdict") + (scan.contains("override") ? " by override" : "");
  }

 private:
  const std::string name_;
  const std::filesystem::path data_;
  std::unique_ptr<ServerProcess> process_;
};

// What tests of several such servers need.
class SignatureNodesTest : public ServerTest {
 protected:
  SignatureNode& Add(const std::string& name, std::vector<std::string> arguments) {
    ServerOptions options = Options();
    options.arguments = std::move(arguments);
    nodes_.push_back(std::make_unique<SignatureNode>(std::move(options), root_, name));
    return *nodes_.back();
  }
  // As freshclam does: under another name first.
  void Put(const std::string& name, const std::string& text) const {
    root_.Write("incoming", text);
    std::filesystem::rename(root_ / "incoming", root_ / "signatures" / name);
  }
  void Remove(const std::string& name) const { std::filesystem::remove(root_ / "signatures" / name); }
  static std::string Finds(std::string_view name, std::string_view what) {
    std::string line = fmt::format("{}:0:*:", name);
    for (const char c : what) line += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return line + "\n";
  }

  std::vector<std::unique_ptr<SignatureNode>> nodes_;
};

}  // namespace lazaret::tests
