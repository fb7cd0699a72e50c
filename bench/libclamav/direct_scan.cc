// libclamav called directly: what the engine alone can do, without a service around it.
#include <clamav.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "base/unique_fd.h"

namespace lazaret::bench {
namespace {

namespace fs = std::filesystem;

constexpr long long kLargestFile = 2'147'483'645;  // libclamav's own clamp

struct Options {
  fs::path signatures;
  std::vector<fs::path> roots;
  fs::path answers;
  unsigned processes = 1;
  bool serve = false;
};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double CpuSeconds(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::vector<fs::path> FilesBelow(const std::vector<fs::path>& roots) {
  std::vector<fs::path> files;
  for (const fs::path& root : roots) {
    if (fs::is_regular_file(root)) files.push_back(root);
    if (!fs::is_directory(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

void OnMessage(cl_msg severity, const char*, const char* text, void*) noexcept {
  if (severity >= CL_MSG_WARN && text != nullptr) std::fputs(text, stderr);
}

// The same limits and options as lazaret-scanner has with the default configuration.
class Engine {
 public:
  explicit Engine(const fs::path& signatures) {
    ::cl_set_clcb_msg(&OnMessage);
    Check(::cl_init(CL_INIT_DEFAULT));
    engine_.reset(::cl_engine_new());
    const std::pair<cl_engine_field, long long> numbers[] = {
        {CL_ENGINE_DISABLE_CACHE, 1},
        {CL_ENGINE_MAX_FILESIZE, kLargestFile},
        {CL_ENGINE_MAX_SCANSIZE, 4LL << 30},
        {CL_ENGINE_MAX_EMBEDDEDPE, kLargestFile},
        {CL_ENGINE_MAX_HTMLNORMALIZE, kLargestFile},
        {CL_ENGINE_MAX_HTMLNOTAGS, kLargestFile},
        {CL_ENGINE_MAX_SCRIPTNORMALIZE, kLargestFile},
        {CL_ENGINE_MAX_ZIPTYPERCG, kLargestFile},
        {CL_ENGINE_PCRE_MAX_FILESIZE, kLargestFile},
    };
    for (const auto& [field, value] : numbers) Check(::cl_engine_set_num(engine_.get(), field, value));
    unsigned loaded = 0;
    Check(::cl_load(signatures.c_str(), engine_.get(), &loaded, CL_DB_STDOPT));
    Check(::cl_engine_compile(engine_.get()));
    count = loaded;
  }

  void UseTempDirectory(const std::string& path) {
    Check(::cl_engine_set_str(engine_.get(), CL_ENGINE_TMPDIR, path.c_str()));
  }

  // The name of what was found, "" when nothing was.
  std::string Scan(const fs::path& file) const {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) throw std::runtime_error("cannot open " + file.native());
    cl_scan_options options{.general = CL_SCAN_GENERAL_HEURISTICS,
                            .parse = ~0u,
                            .heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX | CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE |
                                         CL_SCAN_HEURISTIC_ENCRYPTED_DOC,
                            .mail = 0,
                            .dev = 0};
    const char* name = nullptr;
    unsigned long scanned = 0;
    const auto result =
        ::cl_scandesc_callback(fd.Get(), file.c_str(), &name, &scanned, engine_.get(), &options, nullptr);
    if (result == CL_VIRUS) return name != nullptr ? name : "unnamed";
    Check(result);
    return "";
  }

  unsigned count = 0;

 private:
  static void Check(cl_error_t error) {
    if (error != CL_SUCCESS) throw std::runtime_error(::cl_strerror(error));
  }
  struct Free {
    void operator()(cl_engine* engine) const { ::cl_engine_free(engine); }
  };
  std::unique_ptr<cl_engine, Free> engine_;
};

// Processes take files off the same list, as scanners take contents off a queue.
class Crew {
 public:
  Crew(Engine& engine, const std::vector<fs::path>& files, const fs::path& answers)
      : engine_(engine), files_(files), answers_(answers) {
    void* page =
        ::mmap(nullptr, sizeof(std::atomic<std::size_t>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap");
    next_ = new (page) std::atomic<std::size_t>(0);
  }

  ~Crew() { ::munmap(next_, sizeof *next_); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // False when one of them failed.
  bool Scan(unsigned processes) {
    next_->store(0);
    for (unsigned number = 0; number < processes; ++number) {
      const pid_t pid = ::fork();
      if (pid < 0) throw std::runtime_error("fork");
      if (pid == 0) ::_exit(Work(number));
    }
    bool done = true;
    for (unsigned number = 0; number < processes; ++number) {
      int status = 0;
      done = ::wait(&status) > 0 && status == 0 && done;
    }
    return done;
  }

 private:
  int Work(unsigned number) {
    try {
      std::string directory = fs::temp_directory_path() / "lazaret-direct-XXXXXX";
      if (::mkdtemp(directory.data()) == nullptr) return 1;
      std::srand(number + static_cast<unsigned>(::getpid()));
      engine_.UseTempDirectory(directory);
      std::ofstream answers;
      if (!answers_.empty()) answers.open(answers_.native() + "." + std::to_string(number));
      for (std::size_t index = (*next_)++; index < files_.size(); index = (*next_)++) {
        const double begin = Now();
        const std::string found = engine_.Scan(files_[index]);
        if (answers) {
          fmt::print(answers, "{}\t{}\t{}\t{:.3f}\n", files_[index].native(), found.empty() ? "clean" : "infected",
                     found, Now() - begin);
        }
      }
      fs::remove_all(directory);
      return 0;
    } catch (const std::exception& error) {
      fmt::print(stderr, "lazaret_direct_scan: {}\n", error.what());
      return 1;
    }
  }

  Engine& engine_;
  const std::vector<fs::path>& files_;
  const fs::path answers_;
  std::atomic<std::size_t>* next_;  // in memory that the processes share
};

struct Round {
  std::size_t files;
  std::uintmax_t bytes;
  double seconds, cpu_seconds;
};

Round ScanOnce(Engine& engine, const Options& options, const std::vector<fs::path>& roots) {
  const auto files = FilesBelow(roots);
  Round round{files.size(), 0, 0, 0};
  for (const auto& file : files) round.bytes += fs::file_size(file);
  Crew crew(engine, files, options.answers);
  const double begin = Now(), cpu = CpuSeconds(RUSAGE_CHILDREN);
  if (!crew.Scan(options.processes)) throw std::runtime_error("a process failed");
  round.seconds = Now() - begin;
  round.cpu_seconds = CpuSeconds(RUSAGE_CHILDREN) - cpu;
  return round;
}

void Print(const Round& round) {
  fmt::print(R"({{"files":{},"bytes":{},"seconds":{:.3f},"cpu_s":{:.3f}}}{})", round.files, round.bytes, round.seconds,
             round.cpu_seconds, "\n");
  std::fflush(stdout);
}

int Run(const Options& options) {
  const double started = Now();
  Engine engine(options.signatures);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print(R"({{"signatures":{},"load_s":{:.2f},"peak_rss_mb":{}}}{})", engine.count, Now() - started,
             usage.ru_maxrss / 1024, "\n");
  std::fflush(stdout);
  if (!options.roots.empty()) Print(ScanOnce(engine, options, options.roots));
  if (options.serve) {
    for (std::string line; std::getline(std::cin, line);) Print(ScanOnce(engine, options, {line}));
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Loads signatures, forks processes, and scans files with libclamav as lazaret-scanner is set up, without the "
      "rest of it. "
      "Prints a JSON object when they are loaded and one for each scan; warnings of libclamav go to standard error.\n\n"
      "  lazaret_direct_scan --signatures DIR                       loads them, no more\n"
      "  lazaret_direct_scan --signatures DIR --processes 2 /usr/share/doc"};
  app.add_option("--signatures", options.signatures, "directory of signature files")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--processes", options.processes, "scan at the same time (default 1)")->check(CLI::Range(1, 1024));
  app.add_flag("--serve", options.serve, "then scan each directory that comes as a line on standard input");
  app.add_option("--answers", options.answers,
                 "write file, verdict, name of the finding and seconds to FILE.0, FILE.1, ... of each process");
  app.add_option("files", options.roots, "files, and directories with files")->check(CLI::ExistingPath);
  CLI11_PARSE(app, argc, argv);
  try {
    return Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "lazaret_direct_scan: {}\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace lazaret::bench

int main(int argc, char** argv) { return lazaret::bench::Main(argc, argv); }
