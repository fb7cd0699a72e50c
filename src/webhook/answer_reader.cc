#include "webhook/answer_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <fmt/format.h>

namespace lazaret::webhook {
namespace asio = boost::asio;
namespace http = boost::beast::http;

// Keeps the status of a response and drops everything else.
class AnswerReader::Parser final : public http::basic_parser<false> {
 public:
  using string_view = boost::beast::string_view;
  using error_code = boost::beast::error_code;

  Parser() {
    header_limit(kMaxAnswerHead);
    body_limit(boost::none);  // it would refuse the head of a body that is too long
  }
  unsigned status() const { return status_; }

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int status, string_view, int, error_code&) override { status_ = static_cast<unsigned>(status); }
  void on_field_impl(http::field, string_view, string_view, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code& failed) override { return Drop(body, failed); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& failed) override {
    return Drop(body, failed);
  }
  void on_finish_impl(error_code&) override {}

  std::size_t Drop(string_view body, error_code& failed) {
    dropped_ += body.size();
    if (dropped_ > kMaxAnswerBody) failed = http::error::body_limit;
    return body.size();
  }

  unsigned status_ = 0;
  std::size_t dropped_ = 0;
};

AnswerReader::AnswerReader() : parser_(std::make_unique<Parser>()) {}
AnswerReader::~AnswerReader() = default;

Result<void> AnswerReader::Feed(std::string_view bytes) {
  if (done_) return {};
  pending_ += bytes;
  while (!status_) {
    const auto complete = ReadHead();
    if (!complete) return std::unexpected(complete.error());
    if (!*complete) return {};
  }
  ReadBody();
  return {};
}

// Whether there was a whole head.
Result<bool> AnswerReader::ReadHead() {
  if (pending_.empty()) return false;
  boost::beast::error_code failed;
  const std::size_t taken = parser_->put(asio::buffer(pending_), failed);
  pending_.erase(0, taken);
  head_size_ += taken;
  const bool complete = parser_->is_header_done();
  // Beast applies its limit to the status line and to the fields, each alone.
  if (failed == http::error::header_limit || head_size_ + (complete ? 0 : pending_.size()) > kMaxAnswerHead) {
    return Fail(Errc::kMalformed, fmt::format("answered with a head of more than {} bytes", kMaxAnswerHead));
  }
  if (failed && failed != http::error::need_more) {
    return Fail(Errc::kMalformed, fmt::format("answered what is not HTTP: {}", failed.message()));
  }
  if (!complete) return false;
  if (parser_->status() / 100 != 1) {
    status_ = parser_->status();
  } else if (++interim_answers_ > kMaxInterimAnswers) {
    return Fail(Errc::kMalformed, fmt::format("sent more than {} interim answers", kMaxInterimAnswers));
  } else {
    parser_ = std::make_unique<Parser>();
  }
  return true;
}

void AnswerReader::ReadBody() {
  parser_->eager(true);
  boost::beast::error_code failed;
  if (!parser_->is_done() && !pending_.empty()) {
    pending_.erase(0, parser_->put(asio::buffer(pending_), failed));
  }
  done_ = parser_->is_done() || (failed && failed != http::error::need_more) || pending_.size() > kMaxAnswerBody;
}

}  // namespace lazaret::webhook
