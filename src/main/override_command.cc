#include "main/override_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/unique_fd.h"
#include "main/control_client.h"
#include "main/control_command.h"
#include "main/override_text.h"
#include "wire/percent.h"

namespace lazaret {
namespace {

using Action = config::Overrides::Action;

std::optional<Digest> ReadDigest(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  return Digest::FromHex(text);
}

Result<Digest> HashFile(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.Get() < 0) {
    return Fail(
        Errc::kUnavailable,
        SystemError("it is no SHA-256, which has 64 hexadecimal digits, and no file that can be read", errno).what);
  }
  Sha256 hasher;
  std::array<std::byte, 65536> buffer;
  for (;;) {
    const ssize_t n = ::read(file.Get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(SystemError("the file cannot be read", errno));
    if (n == 0) return hasher.Finish();
    hasher.Update(Bytes(buffer).first(static_cast<std::size_t>(n)));
  }
}

class OverrideCommand {
 public:
  explicit OverrideCommand(const config::Overrides& overrides) : overrides_(overrides), client_(overrides.data) {}

  int Run() const {
    if (overrides_.action == Action::kList) {
      const auto listed = List();
      return listed ? 0 : ExplainFailure("", listed.error());
    }
    return RunForEach(overrides_.contents, [this](const std::string& given) { return One(given); });
  }

 private:
  Result<void> List() const {
    const auto answer = AskForBody(client_, "GET", "/v1/overrides");
    if (!answer) return std::unexpected(answer.error());
    if (overrides_.json) return PrintOut(*answer);
    const auto list = ParseObject(*answer);
    if (!list) return std::unexpected(list.error());
    return PrintOut(OverrideTable(*list, SystemClock().Now()));
  }

  Result<void> One(const std::string& given) const {
    auto id = ReadDigest(given);
    if (!id) {
      const auto hashed = HashFile(given);
      if (!hashed) return std::unexpected(Error{Errc::kMalformed, hashed.error().what});
      id = *hashed;
    }
    const std::string path = "/v1/overrides/" + id->Hex();
    const bool adds = overrides_.action == Action::kAdd;
    const auto answer = AskForBody(client_, adds ? "PUT" : "DELETE", adds ? path + "?" + Query() : path);
    if (!answer) return std::unexpected(answer.error());
    if (overrides_.json) return PrintOut(*answer);
    return PrintOut(fmt::format("{}  {}\n", id->Hex(), adds ? overrides_.verdict : "removed"));
  }

  std::string Query() const {
    std::string query = fmt::format("verdict={}&reason={}", overrides_.verdict, wire::PercentEncode(overrides_.reason));
    if (!overrides_.signature.empty()) query += "&signature=" + wire::PercentEncode(overrides_.signature);
    // What is meant from now is reckoned by the server: in a fleet by the clock that ends it.
    if (overrides_.end) {
      query += overrides_.end->at.empty() ? fmt::format("&for_ms={}", overrides_.end->after.count())
                                          : "&until=" + wire::PercentEncode(overrides_.end->at);
    }
    return query;
  }

  const config::Overrides& overrides_;
  ControlClient client_;
};

}  // namespace

int RunOverrides(const config::Overrides& overrides) { return OverrideCommand(overrides).Run(); }

}  // namespace lazaret
