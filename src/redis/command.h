#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lazaret::redis {

inline constexpr std::size_t kMaxCommandBytes = std::size_t{512} << 20;  // of all arguments together

// One command as it goes over the wire; its arguments may hold any bytes. Immutable; copies share the bytes.
class Command {
 public:
  // The first argument is the command's name; there is at least one.
  explicit Command(std::span<const std::string_view> arguments);
  Command(std::initializer_list<std::string_view> arguments)
      : Command(std::span<const std::string_view>(arguments.begin(), arguments.size())) {}

  // Command::Of("XADD", key, "MAXLEN", 1000, "*", "id", id): texts as they are, integers in decimal.
  template <class... Arguments>
  static Command Of(const Arguments&... arguments) {
    return FromTexts({Text(arguments)...});
  }

  std::string_view bytes() const { return {bytes_.get(), size_}; }
  std::string_view name() const;  // for messages

 private:
  // A text that is borrowed, or a number that is held.
  struct Text {
    explicit Text(std::string_view text) : borrowed(text) {}
    explicit Text(std::integral auto number) : number(std::to_string(number)), is_number(true) {}
    std::string_view View() const { return is_number ? std::string_view(number) : borrowed; }

    std::string_view borrowed;
    std::string number;
    bool is_number = false;
  };
  static Command FromTexts(std::initializer_list<Text> texts);

  std::shared_ptr<const char> bytes_;
  std::size_t size_ = 0;
};

}  // namespace lazaret::redis
