#include "redis/command.h"

#include <hiredis/hiredis.h>

#include <charconv>
#include <new>
#include <stdexcept>

namespace lazaret::redis {

Command::Command(std::span<const std::string_view> arguments) {
  if (arguments.empty()) throw std::invalid_argument("a Redis command without a name");
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  texts.reserve(arguments.size());
  sizes.reserve(arguments.size());
  for (const std::string_view argument : arguments) {
    texts.push_back(argument.empty() ? "" : argument.data());
    sizes.push_back(argument.size());
    total += argument.size();
  }
  // hiredis 0.14 counts in int, and Redis takes no more by default (proto-max-bulk-len).
  if (total > kMaxCommandBytes) throw std::length_error("a Redis command of more than 512 MiB");
  char* bytes = nullptr;
  const int size = redisFormatCommandArgv(&bytes, static_cast<int>(arguments.size()), texts.data(), sizes.data());
  if (size < 0 || bytes == nullptr) throw std::bad_alloc();
  bytes_ = std::shared_ptr<const char>(bytes, [](const char* p) { redisFreeCommand(const_cast<char*>(p)); });
  size_ = static_cast<std::size_t>(size);
}

Command Command::FromTexts(std::initializer_list<Text> texts) {
  std::vector<std::string_view> arguments;
  arguments.reserve(texts.size());
  for (const Text& text : texts) arguments.push_back(text.View());
  return Command(arguments);
}

// "*3\r\n$3\r\nSET\r\n..."
std::string_view Command::name() const {
  const std::string_view all = bytes();
  const std::size_t dollar = all.find('$');
  const std::size_t start = all.find('\n', dollar) + 1;
  std::size_t size = 0;
  std::from_chars(all.data() + dollar + 1, all.data() + start, size);
  return all.substr(start, size);
}

}  // namespace lazaret::redis
