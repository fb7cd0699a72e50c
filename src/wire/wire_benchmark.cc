#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>

#include "wire/chunked.h"
#include "wire/digest_field.h"
#include "wire/http_head.h"
#include "wire/multipart.h"
#include "wire/query.h"

namespace lazaret::wire {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;  // what one read of a connection brings
constexpr std::size_t kBodySize = 16 * 1024 * 1024;

constexpr std::string_view kCurlHead =
    "POST /v1/scan?on_infected=403 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
    "Content-Length: 1024\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";
constexpr std::string_view kBrowserHead =
    "POST /v1/scan HTTP/1.1\r\nHost: scan.example.org\r\nConnection: keep-alive\r\nContent-Length: 123456\r\n"
    "sec-ch-ua: \"Chromium\";v=\"118\", \"Google Chrome\";v=\"118\", \"Not=A?Brand\";v=\"99\"\r\nsec-ch-ua-mobile: "
    "?0\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 "
    "Safari/537.36\r\n"
    "Content-Type: multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW\r\nAccept: */*\r\n"
    "Origin: https://app.example.org\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
    "Referer: https://app.example.org/upload\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n";

void ReadHead(benchmark::State& state, std::string_view head) {
  for (auto _ : state) {
    const auto end = FindHeadEnd(head, 0);
    auto request = ParseRequestHead(head.substr(0, **end));
    benchmark::DoNotOptimize(request);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * head.size()));
}
BENCHMARK_CAPTURE(ReadHead, Curl, kCurlHead);
BENCHMARK_CAPTURE(ReadHead, Browser, kBrowserHead);

void ReadDigest(benchmark::State& state) {
  const std::string value = FormatReprDigest(Sha256::Of(AsBytes("a")));
  for (auto _ : state) benchmark::DoNotOptimize(ParseReprDigest(value));
}
BENCHMARK(ReadDigest);

void ReadQuery(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Query::Parse("on_infected=403&wait=5"));
}
BENCHMARK(ReadQuery);

// What files are made of, from usual to hostile.
std::string Content(std::string_view kind) {
  std::string out(kBodySize, '\0');
  if (kind == "random") {
    std::mt19937_64 random(1);
    for (char& c : out) c = static_cast<char>(random());
  } else if (kind == "text") {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = "A line of text, 0123.\r\n"[i % 23];
  } else if (kind == "cr") {
    out.assign(out.size(), '\r');
  } else if (kind == "dashes") {
    out.assign(out.size(), '-');
  } else if (kind == "almost") {
    const std::string_view line = "\r\n------WebKitFormBoundary7MA4YWxkTrZu0gX";
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = line[i % line.size()];
  }
  return out;
}

void ReadMultipart(benchmark::State& state, std::string_view kind) {
  const std::string boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
  const std::string body = "--" + boundary +
                           "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + Content(kind) +
                           "\r\n--" + boundary + "--\r\n";
  for (auto _ : state) {
    MultipartParser parser(boundary, 10);
    std::size_t content = 0;
    for (Bytes rest = AsBytes(body); !rest.empty();) {
      const Bytes piece = rest.first(std::min(kReadSize, rest.size()));
      rest = rest.subspan(piece.size());
      parser.Feed(piece);
      for (auto event = parser.Next(); event && *event; event = parser.Next()) {
        if (const auto* data = std::get_if<PartData>(&**event)) content += data->bytes.size();
      }
    }
    if (!parser.Finish() || content != kBodySize) state.SkipWithError("the body was not understood");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}
BENCHMARK_CAPTURE(ReadMultipart, Zeros, "zeros");
BENCHMARK_CAPTURE(ReadMultipart, Random, "random");
BENCHMARK_CAPTURE(ReadMultipart, CrLfText, "text");
BENCHMARK_CAPTURE(ReadMultipart, OnlyCr, "cr");
BENCHMARK_CAPTURE(ReadMultipart, OnlyDashes, "dashes");
BENCHMARK_CAPTURE(ReadMultipart, AlmostBoundaries, "almost");

void ReadChunked(benchmark::State& state) {
  const auto chunk = static_cast<std::size_t>(state.range(0));
  std::string body;
  for (std::size_t at = 0; at < kBodySize; at += chunk) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk);
    body += size + std::string(chunk, 'x') + "\r\n";
  }
  body += "0\r\n\r\n";
  for (auto _ : state) {
    ChunkedDecoder decoder;
    bool done = false;
    for (Bytes rest = AsBytes(body); !rest.empty();) {
      Bytes piece = rest.first(std::min(kReadSize, rest.size()));
      rest = rest.subspan(piece.size());
      while (!piece.empty() && !done) {
        const auto step = decoder.Feed(piece);
        piece = piece.subspan(step->consumed);
        done = step->done;
        benchmark::DoNotOptimize(step->data.data());
      }
    }
    if (!done) state.SkipWithError("the body was not understood");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}
BENCHMARK(ReadChunked)->Arg(16)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

}  // namespace
}  // namespace lazaret::wire
