#include "scanner/clamav_engine.h"

#include <clamav.h>
#include <link.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "scanner/io_failures.h"

namespace lazaret::scanner {
namespace {

using wire::OutcomeReason;

// libclamav's own clamp on the size of one file.
constexpr std::uint64_t kLargestFile = 2'147'483'645;
// libclamav's limits lie this much above ours: some of its extractors cut off silently at the limit, and what was cut
// there is then over ours (Findings::AddLayer). More than any of their buffers.
constexpr std::uint64_t kSlack = 64 * 1024;
constexpr std::size_t kMaxMessages = 50;  // of each kind

// libclamav's message callback has no argument of ours while it loads: where messages go is process-wide.
class MessageSink {
 public:
  virtual void OnMessage(cl_msg severity, std::string_view text) = 0;

 protected:
  ~MessageSink() = default;
};
MessageSink* message_sink = nullptr;

class RedirectMessages {
 public:
  explicit RedirectMessages(MessageSink& sink) { message_sink = &sink; }
  ~RedirectMessages() { message_sink = nullptr; }
  RedirectMessages(const RedirectMessages&) = delete;
  RedirectMessages& operator=(const RedirectMessages&) = delete;
};

std::string_view Trim(std::string_view text) {
  const auto end = text.find_last_not_of(" \r\n");
  return text.substr(0, end == text.npos ? 0 : end + 1);
}

class LoadMessages final : public MessageSink {
 public:
  void OnMessage(cl_msg severity, std::string_view text) override {
    if (severity < CL_MSG_WARN) return;
    auto& list = severity >= CL_MSG_ERROR ? errors : warnings;
    if (list.size() < kMaxMessages) list.emplace_back(Trim(text).substr(0, 400));
  }

  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

class ScanMessages final : public MessageSink {
 public:
  explicit ScanMessages(Findings& findings) : findings_(findings) {}
  void OnMessage(cl_msg severity, std::string_view text) override {
    if (severity >= CL_MSG_ERROR) findings_.AddIncomplete(OutcomeReason::kEngineError, std::string(Trim(text)));
  }

 private:
  Findings& findings_;
};

// The callbacks are called by C code: noexcept ends the process rather than throwing through it.
Findings& FindingsOf(void* context) { return *static_cast<Findings*>(context); }

void OnMessage(cl_msg severity, const char*, const char* text, void*) noexcept {
  if (message_sink != nullptr) message_sink->OnMessage(severity, text != nullptr ? text : "");
}

void OnVirusFound(int, const char* name, void* context) noexcept {
  FindingsOf(context).AddAlert(name != nullptr ? name : "");
}

cl_error_t OnLayer(int, const char* type, const char**, std::size_t, const char*, std::size_t size, const char* buffer,
                   std::uint32_t level, std::uint32_t, void* context) noexcept {
  Layer layer{type != nullptr ? type : "", std::nullopt};
  if (buffer != nullptr) layer.content = AsBytes({buffer, size});
  FindingsOf(context).AddLayer(layer, level);
  return CL_CLEAN;
}

cl_error_t OnMember(const char* container, unsigned long packed_size, const char*, unsigned long, int encrypted,
                    unsigned, void* context) noexcept {
  if (encrypted != 0) FindingsOf(context).AddEncryptedMember(container != nullptr ? container : "", packed_size);
  return CL_CLEAN;
}

bool IsLoaded(const char* library) {
  const auto matches = [](dl_phdr_info* info, std::size_t, void* wanted) {
    return std::strstr(info->dlpi_name, static_cast<const char*>(wanted)) != nullptr ? 1 : 0;
  };
  return ::dl_iterate_phdr(matches, const_cast<char*>(library)) != 0;
}

// OpenSSL reads its configuration and looks its algorithms up on first use, which a sandboxed process cannot do.
void PreloadHashes() {
  for (const char* algorithm : {"md5", "sha1", "sha256"}) {
    unsigned char digest[64];
    unsigned length = 0;
    ::cl_hash_data(algorithm, algorithm, 1, digest, &length);
  }
}

std::vector<wire::DatabaseInfo> ReadHeaders(const std::string& directory) {
  std::vector<wire::DatabaseInfo> found;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
    const auto extension = file.path().extension();
    if (extension != ".cvd" && extension != ".cld") continue;
    const std::unique_ptr<cl_cvd, decltype(&::cl_cvdfree)> head(::cl_cvdhead(file.path().c_str()), &::cl_cvdfree);
    if (head == nullptr) continue;
    found.push_back({file.path().stem(), head->version, head->sigs, head->stime});
  }
  std::ranges::sort(found, {}, &wire::DatabaseInfo::name);
  return found;
}

cl_scan_options ScanOptions() {
  return {.general = CL_SCAN_GENERAL_HEURISTICS,
          .parse = ~0u,
          .heuristic =
              CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC,
          .mail = 0,
          .dev = 0};
}

Result<void> CheckLimits(const wire::LoadRequest& request) {
  if (request.slots == 0 || request.temp_bytes == 0 || request.memory_bytes == 0 || request.max_file_bytes == 0 ||
      request.max_scan_bytes == 0 || request.max_recursion == 0 || request.max_files == 0) {
    return Fail(Errc::kMalformed, "a limit of the load request is 0: every limit must be positive");
  }
  return {};
}

}  // namespace

void ClamavEngine::FreeEngine::operator()(cl_engine* engine) const { ::cl_engine_free(engine); }

Result<void> ClamavEngine::Configure(const wire::LoadRequest& request) {
  if (auto ok = CheckLimits(request); !ok) return ok;
  limits_ = {.file_bytes = std::min(request.max_file_bytes, kLargestFile - kSlack),
             .scan_bytes = std::min<std::uint64_t>(request.max_scan_bytes, INT64_MAX - kSlack)};
  const auto file = static_cast<long long>(limits_.file_bytes + kSlack);
  const auto scan = static_cast<long long>(limits_.scan_bytes + kSlack);
  const std::pair<cl_engine_field, long long> numbers[] = {
      {CL_ENGINE_DISABLE_CACHE, 1},
      {CL_ENGINE_MAX_FILESIZE, file},
      {CL_ENGINE_MAX_SCANSIZE, scan},
      {CL_ENGINE_MAX_RECURSION, request.max_recursion},
      {CL_ENGINE_MAX_FILES, request.max_files},
      // Steps that libclamav would skip silently beyond a size or a count: never before a limit that it tells about.
      {CL_ENGINE_MAX_EMBEDDEDPE, kLargestFile},
      {CL_ENGINE_MAX_HTMLNORMALIZE, kLargestFile},
      {CL_ENGINE_MAX_HTMLNOTAGS, kLargestFile},
      {CL_ENGINE_MAX_SCRIPTNORMALIZE, kLargestFile},
      {CL_ENGINE_MAX_ZIPTYPERCG, kLargestFile},
      {CL_ENGINE_PCRE_MAX_FILESIZE, kLargestFile},
      {CL_ENGINE_MAX_PARTITIONS, static_cast<long long>(request.max_files) + 1},
  };
  for (const auto& [field, value] : numbers) {
    if (::cl_engine_set_num(engine_.get(), field, value) != CL_SUCCESS) {
      return Fail(Errc::kInternal, fmt::format("libclamav refuses its setting {}", static_cast<int>(field)));
    }
  }
  if (::cl_engine_set_str(engine_.get(), CL_ENGINE_TMPDIR, request.temp_directory.c_str()) != CL_SUCCESS) {
    return Fail(Errc::kInternal, "libclamav refuses the temp directory");
  }
  ::cl_engine_set_clcb_virus_found(engine_.get(), &OnVirusFound);
  ::cl_engine_set_clcb_file_inspection(engine_.get(), &OnLayer);
  ::cl_engine_set_clcb_meta(engine_.get(), &OnMember);
  return {};
}

Result<ClamavEngine> ClamavEngine::Load(const wire::LoadRequest& request, const std::string& signature_directory) {
  const auto started = std::chrono::steady_clock::now();
  const std::string& directory = request.signature_directory;
  LoadMessages messages;
  const RedirectMessages redirect(messages);
  const auto refuse = [&](cl_error_t error) {
    std::string what = fmt::format("cannot load signatures from {}: {}", directory, ::cl_strerror(error));
    if (!messages.errors.empty()) what += fmt::format(" ({})", messages.errors.front());
    return Fail(error == CL_EMEM ? Errc::kOverloaded : Errc::kCorrupt, std::move(what));
  };

  ::cl_set_clcb_msg(&OnMessage);
  if (const auto error = ::cl_init(CL_INIT_DEFAULT); error != CL_SUCCESS) return refuse(error);
  ClamavEngine made;
  made.engine_.reset(::cl_engine_new());
  if (made.engine_ == nullptr) return refuse(CL_EMEM);
  if (auto done = made.Configure(request); !done) return std::unexpected(done.error());

  unsigned signatures = 0;
  const unsigned options = CL_DB_STDOPT | (request.detect_pua ? CL_DB_PUA : 0u);
  if (const auto error = ::cl_load(signature_directory.c_str(), made.engine_.get(), &signatures, options);
      error != CL_SUCCESS) {
    return refuse(error);
  }
  if (signatures == 0) {
    return Fail(Errc::kCorrupt, fmt::format("cannot load signatures from {}: there are none", directory));
  }
  if (const auto error = ::cl_engine_compile(made.engine_.get()); error != CL_SUCCESS) return refuse(error);
  PreloadHashes();

  made.has_rar_ = IsLoaded("libclamunrar_iface");
  made.info_.engine_version = ::cl_retver();
  made.info_.functionality_level = ::cl_retflevel();
  made.info_.signatures = signatures;
  made.info_.databases = ReadHeaders(signature_directory);
  if (made.has_rar_) made.info_.features.emplace_back("rar");
  made.info_.errors = std::move(messages.errors);
  made.info_.warnings = std::move(messages.warnings);
  const auto took = std::chrono::steady_clock::now() - started;
  made.info_.load_ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  return made;
}

Result<void> ClamavEngine::BecomeScanner(const std::string& temp_directory) {
  unsigned seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) return std::unexpected(SystemError("getrandom", errno));
  std::srand(seed);
  if (::cl_engine_set_str(engine_.get(), CL_ENGINE_TMPDIR, temp_directory.c_str()) != CL_SUCCESS) {
    return Fail(Errc::kInternal, "libclamav refuses the temp directory");
  }
  return {};
}

wire::Outcome ClamavEngine::Scan(int fd, std::uint64_t size, std::uint32_t time_limit_ms) {
  Findings findings(limits_, has_rar_);
  struct stat info{};
  const auto conclude = [&] {
    wire::Outcome outcome = findings.Conclude();
    outcome.size = static_cast<std::uint64_t>(info.st_size);
    return outcome;
  };
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != size) {
    findings.AddIncomplete(OutcomeReason::kEngineError, "the content is not a file of the size that was announced");
    return conclude();
  }
  if (size > limits_.file_bytes) {
    findings.AddIncomplete(OutcomeReason::kLimitExceeded, "Heuristics.Limits.Exceeded.MaxFileSize");
    return conclude();
  }
  if (::cl_engine_set_num(engine_.get(), CL_ENGINE_MAX_SCANTIME, time_limit_ms) != CL_SUCCESS) {
    findings.AddIncomplete(OutcomeReason::kEngineError, "libclamav refuses the time limit");
    return conclude();
  }

  ScanMessages messages(findings);
  cl_scan_options options = ScanOptions();
  const char* name = nullptr;
  unsigned long scanned = 0;
  StartWatchingIo();
  const cl_error_t result = [&] {
    const RedirectMessages redirect(messages);
    return ::cl_scandesc_callback(fd, nullptr, &name, &scanned, engine_.get(), &options, &findings);
  }();
  const auto failure = StopWatchingIo();

  if (failure) {
    const auto reason = failure->reading ? OutcomeReason::kEngineError : OutcomeReason::kTemporarySpace;
    findings.AddIncomplete(reason, SystemError(failure->call, failure->error_number).what);
  }
  if (result == CL_VIRUS) {
    if (name != nullptr && !findings.HasDetection()) findings.AddAlert(name);
    if (!findings.HasDetection() && findings.IsComplete()) {
      findings.AddIncomplete(OutcomeReason::kEngineError, "libclamav found something without a name");
    }
  } else if (result != CL_CLEAN) {
    findings.AddIncomplete(OutcomeReason::kEngineError, ::cl_strerror(result));
  }
  return conclude();
}

}  // namespace lazaret::scanner
