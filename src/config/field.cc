#include "config/field.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "config/units.h"

namespace lazaret::config {
namespace {

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kDay = 24 * kHour;
constexpr std::uint64_t kTiB = 1024 * kGiB;

using C = Config;

constexpr std::array kFields = {
    Field{"listen", "--listen", Kind::kListen, +[](C& c) { return &c.listen; }, 1, 64,
          "Addresses of the REST interface; IPv6 in brackets, port 0 for one that the kernel picks, unix: for a socket "
          "file."},
    Field{"data", "--data", Kind::kPath, +[](C& c) { return &c.data; }, 1, 0,
          "Directory for the job queue, which must survive a reboot, the verdict cache, and large files; made when "
          "missing."},
    Field{"role", "--role", Kind::kRole, +[](C& c) { return &c.role; }, 0, 0,
          "What this server does of the work that is shared through redis.url: everything; api answers clients and "
          "leaves scanning to others; worker scans what others have queued, and answers only health and metrics."},
    Field{"threads", "--threads", Kind::kCount, +[](C& c) { return &c.threads; }, 0, 1024,
          "Threads that serve HTTP; 0 means one per core."},
    Field{"drain_timeout", "", Kind::kDuration, +[](C& c) { return &c.drain_timeout; }, 0, kHour,
          "How long requests in progress may take to finish after SIGTERM."},

    Field{"log.format", "--log-format", Kind::kLogFormat, +[](C& c) { return &c.log.format; }, 0, 0,
          "How log lines on standard error look."},
    Field{"log.level", "--log-level", Kind::kLogLevel, +[](C& c) { return &c.log.level; }, 0, 0,
          "The least important kind of line that is logged."},

    Field{"signatures.directory", "--signatures", Kind::kPath, +[](C& c) { return &c.signatures.directory; }, 1, 0,
          "Directory that freshclam, or whoever, keeps up to date; changes of it are loaded at once."},
    Field{"signatures.test_set", "--test-signatures", Kind::kSwitch, +[](C& c) { return &c.signatures.test_set; }, 0, 0,
          "Use the built-in set, which knows nothing but the EICAR test file, instead of the directory: not fit for "
          "use."},
    Field{"signatures.pua", "", Kind::kSwitch, +[](C& c) { return &c.signatures.pua; }, 0, 0,
          "Also report potentially unwanted applications."},
    Field{
        "signatures.reload", "", Kind::kSignatureReload, +[](C& c) { return &c.signatures.reload; }, 0, 0,
        "How changed signatures are loaded: beside those in use, which takes the memory of both for a while; or drain, "
        "after those have ended, while scans wait; auto takes what there is memory for."},
    Field{"signatures.memory_reserve", "", Kind::kSize, +[](C& c) { return &c.signatures.memory_reserve; }, 0,
          64 * kTiB, "Memory that must stay free when signatures are loaded beside those in use."},
    Field{"signatures.settle", "", Kind::kDuration, +[](C& c) { return &c.signatures.settle; }, 10, 5 * kMinute,
          "How long the directory must be left alone before a change of it is loaded; after 15 times as long it is "
          "loaded all the same."},
    Field{"signatures.check_interval", "", Kind::kDuration, +[](C& c) { return &c.signatures.check_interval; }, kSecond,
          kDay, "How often the directory is looked at without having been seen to change."},
    Field{"signatures.load_timeout", "", Kind::kDuration, +[](C& c) { return &c.signatures.load_timeout; }, kSecond,
          24 * kHour, "Signatures that take longer to load and to try out are refused."},
    Field{"signatures.load_nice", "", Kind::kCount, +[](C& c) { return &c.signatures.load_nice; }, 0, 19,
          "The nice value of a process that loads signatures beside those in use; without the right to take it back "
          "afterwards it is not set."},
    Field{"signatures.least_percent", "", Kind::kCount, +[](C& c) { return &c.signatures.least_percent; }, 0, 100,
          "Changed signatures that are fewer than this share of those in use are refused; 0 takes any number."},
    Field{"signatures.refuse_load_errors", "", Kind::kSwitch, +[](C& c) { return &c.signatures.refuse_load_errors; }, 0,
          0, "Refuse signatures of which libclamav cannot load a part, unless it is so with those in use."},
    Field{"signatures.probe_eicar", "", Kind::kProbeEicar, +[](C& c) { return &c.signatures.probe_eicar; }, 0, 0,
          "Whether signatures must detect the EICAR test file; auto: when those in use do."},
    Field{"signatures.probe_clean", "", Kind::kPaths, +[](C& c) { return &c.signatures.probe_clean; }, 0, 64,
          "Files that no signatures may detect; those that do are refused."},
    Field{"signatures.probe_infected", "", Kind::kPaths, +[](C& c) { return &c.signatures.probe_infected; }, 0, 64,
          "Files that signatures must detect; those that do not are refused."},
    Field{"signatures.alarm_ratio", "", Kind::kCount, +[](C& c) { return &c.signatures.alarm_ratio; }, 0, 1'000'000,
          "Raise an alarm when the share of contents with a detection is more than this many times as large as before "
          "the last change of the signatures; 0 never does."},
    Field{"signatures.alarm_least", "", Kind::kCount, +[](C& c) { return &c.signatures.alarm_least; }, 1, 1'000'000'000,
          "Detections that it takes for that alarm."},
    Field{"signatures.alarm_window", "", Kind::kDuration, +[](C& c) { return &c.signatures.alarm_window; }, kSecond,
          30 * kDay, "How long after a change that alarm can be raised."},
    Field{"signatures.alarm_rollback", "", Kind::kSwitch, +[](C& c) { return &c.signatures.alarm_rollback; }, 0, 0,
          "Go back to the signatures of before when that alarm is raised."},
    Field{"signatures.max_age", "", Kind::kDuration, +[](C& c) { return &c.signatures.max_age; }, kSecond, 3650 * kDay,
          "How old signatures may be: by the build time of the newest database, or, where none says it, by the time of "
          "the newest file."},
    Field{"signatures.too_old", "", Kind::kSignatureAge, +[](C& c) { return &c.signatures.too_old; }, 0, 0,
          "What /readyz makes of older ones: nothing; a warning beside its 200; or 503. Scans go on."},
    Field{"signatures.turns", "", Kind::kSwitch, +[](C& c) { return &c.signatures.turns; }, 0, 0,
          "Servers that share redis.url load changed signatures one after the other, not all at once."},

    Field{"engine.kind", "--engine", Kind::kEngine, +[](C& c) { return &c.engine.kind; }, 0, 0,
          "What scans: libclamav in scanner processes of this server; the clamd servers of engine.clamd, which leaves "
          "most other settings of [signatures] and [engine] without effect; or the workers that share redis.url. auto: "
          "the workers for the role api, else embedded."},
    Field{"engine.clamd", "--clamd", Kind::kServers, +[](C& c) { return &c.engine.clamd; }, 0, 64,
          "The clamd servers that scan when engine.kind is clamd; each is one clamd, not a balancer in front of "
          "several."},
    Field{"engine.scanners", "--scanners", Kind::kCount, +[](C& c) { return &c.engine.scanners; }, 0, 1024,
          "Scanner processes, each of which scans one content at a time; 0 means one per core."},
    Field{"engine.scanner_program", "", Kind::kPath, +[](C& c) { return &c.engine.scanner_program; }, 0, 0,
          "The scanner executable; empty means lazaret-scanner beside the running binary."},
    Field{"engine.user", "", Kind::kText, +[](C& c) { return &c.engine.user; }, 1, 0,
          "The user that scanners run as when the server is started by root."},
    Field{"engine.deadline", "", Kind::kDuration, +[](C& c) { return &c.engine.deadline; }, 100, kHour,
          "How long one scan may take before its scanner is killed and the content is unscannable."},
    Field{"engine.attempts", "", Kind::kCount, +[](C& c) { return &c.engine.attempts; }, 1, 10,
          "How often a content may crash a scanner before it is unscannable."},
    Field{"engine.scans_per_scanner", "", Kind::kCount, +[](C& c) { return &c.engine.scans_per_scanner; }, 1, 1'000'000,
          "Scans after which a scanner is replaced by a new one."},
    Field{"engine.max_file_size", "", Kind::kSize, +[](C& c) { return &c.engine.max_file_size; }, 1,
          kLargestScannableFile, "Larger files, also inside archives, are unscannable; the top is libclamav's own."},
    Field{"engine.max_scan_size", "", Kind::kSize, +[](C& c) { return &c.engine.max_scan_size; }, 1, kTiB,
          "How much one content may expand to, all its layers together, before it is unscannable."},
    Field{"engine.max_recursion", "", Kind::kCount, +[](C& c) { return &c.engine.max_recursion; }, 1, 100,
          "How deep archives may be nested before the content is unscannable."},
    Field{"engine.max_files", "", Kind::kCount, +[](C& c) { return &c.engine.max_files; }, 1, 10'000'000,
          "How many files one content may hold before it is unscannable."},
    Field{"engine.temp_size", "", Kind::kSize, +[](C& c) { return &c.engine.temp_size; }, kMiB, kTiB,
          "Temporary space of each scanner."},
    Field{"engine.memory", "", Kind::kSize, +[](C& c) { return &c.engine.memory; }, 64 * kMiB, kTiB,
          "Address space of each scanner beyond the signatures, which all of them share."},
    Field{"engine.huge_pages", "", Kind::kSwitch, +[](C& c) { return &c.engine.huge_pages; }, 0, 0,
          "For speed: move the loaded signatures into huge pages, which takes about two seconds for a gigabyte."},
    Field{"engine.skip_unmatched", "", Kind::kSwitch, +[](C& c) { return &c.engine.skip_unmatched; }, 0, 0,
          "For speed: do not evaluate logical signatures of which nothing was matched."},
    Field{"engine.share_match_state", "", Kind::kSwitch, +[](C& c) { return &c.engine.share_match_state; }, 0, 0,
          "For speed and memory: scanners share what each layer's matches begin with instead of filling it anew."},

    Field{"clamd_pool.connections", "", Kind::kCount, +[](C& c) { return &c.clamd_pool.connections; }, 1, 1024,
          "Scans at once on each clamd server of engine.clamd; no more than its MaxThreads."},
    Field{"clamd_pool.attempts", "", Kind::kCount, +[](C& c) { return &c.clamd_pool.attempts; }, 1, 10,
          "How many servers a content is shown to, while they fail on it, before it is unscannable."},
    Field{
        "clamd_pool.max_file_size", "", Kind::kSize, +[](C& c) { return &c.clamd_pool.max_file_size; }, 64 * kKiB,
        kLargestScannableFile,
        "Larger contents are unscannable without being sent; no more than MaxFileSize, MaxScanSize and "
        "StreamMaxLength of the servers, which call larger ones clean. Each server is tried with a file of this size."},
    Field{
        "clamd_pool.require_alerts", "", Kind::kSwitch, +[](C& c) { return &c.clamd_pool.require_alerts; }, 0, 0,
        "Use no server that calls clean what it could not look into: one without AlertExceedsMax and AlertEncrypted."},
    Field{"clamd_pool.connect_timeout", "", Kind::kDuration, +[](C& c) { return &c.clamd_pool.connect_timeout; }, 10,
          kMinute, "How long a clamd server may take to accept a connection."},
    Field{"clamd_pool.answer_timeout", "", Kind::kDuration, +[](C& c) { return &c.clamd_pool.answer_timeout; }, 10,
          10 * kMinute,
          "How long it may take to answer PING or VERSION, or to take the next piece of a content; after two PINGs "
          "without an answer it is left alone and its scans are given to others."},
    Field{"clamd_pool.check_interval", "", Kind::kDuration, +[](C& c) { return &c.clamd_pool.check_interval; }, 10,
          kHour, "How often a server is asked whether it is there and with which signatures."},

    Field{"queue.max_waiting", "", Kind::kCount, +[](C& c) { return &c.queue.max_waiting; }, 1, 1'000'000,
          "Short scans that may wait for a scanner, and as many long ones; beyond it requests are refused with 503."},
    Field{"queue.small_size", "", Kind::kSize, +[](C& c) { return &c.queue.small_size; }, 0, 4 * kGiB,
          "Contents up to this size count as short scans, which do not wait behind long ones."},
    Field{"queue.short_time", "", Kind::kDuration, +[](C& c) { return &c.queue.short_time; }, 10, kHour,
          "A scan that takes longer counts as a long one, whatever its size: short ones pass it, and where it is in "
          "their way it is stopped and started again later."},
    Field{"queue.max_wait", "", Kind::kDuration, +[](C& c) { return &c.queue.max_wait; }, 100, kHour,
          "How long a request waits for a scanner before it is refused with 503; one whose scan was stopped for short "
          "ones (queue.short_time) waits on."},

    Field{"content.max_size", "--max-size", Kind::kSize, +[](C& c) { return &c.content.max_size; }, 1, kTiB,
          "Larger uploads are refused with 413."},
    Field{"content.memory_file_size", "", Kind::kSize, +[](C& c) { return &c.content.memory_file_size; }, 0, kGiB,
          "Contents up to this size are held in memory, larger ones in a file."},
    Field{"content.memory_budget", "", Kind::kSize, +[](C& c) { return &c.content.memory_budget; }, 0, 16 * kTiB,
          "Memory for all contents that are held at once; beyond it they go to files, too."},
    Field{"content.disk_budget", "", Kind::kSize, +[](C& c) { return &c.content.disk_budget; }, 1, 1024 * kTiB,
          "Disk space for all contents that are held at once; beyond it requests are refused with 503."},

    Field{"cache.max_entries", "", Kind::kCount, +[](C& c) { return &c.cache.max_entries; }, 1, 1'000'000'000,
          "Verdicts that are remembered on disk; the oldest give way."},
    Field{"cache.memory_entries", "", Kind::kCount, +[](C& c) { return &c.cache.memory_entries; }, 1, 100'000'000,
          "Verdicts that are also held in memory."},
    Field{"cache.max_age", "", Kind::kDuration, +[](C& c) { return &c.cache.max_age; }, kSecond, 3650 * kDay,
          "How long a verdict is remembered."},
    Field{"cache.passing_age", "", Kind::kDuration, +[](C& c) { return &c.cache.passing_age; }, 0, kDay,
          "How long a verdict is remembered that a crash, a time-out or a lack of space caused."},
    Field{"cache.stale", "", Kind::kCacheStale, +[](C& c) { return &c.cache.stale; }, 0, 0,
          "Whether a clean verdict of earlier signatures may answer POST /v1/scan, marked \"fresh\": false, while the "
          "content is scanned again."},
    Field{"cache.stale_age", "", Kind::kDuration, +[](C& c) { return &c.cache.stale_age; }, kSecond, 365 * kDay,
          "How old such a verdict may be."},

    Field{"override.max_entries", "", Kind::kCount, +[](C& c) { return &c.override.max_entries; }, 1, 100'000,
          "Overrides (lazaret override) that may be in force at once."},

    Field{"http.socket_mode", "", Kind::kMode, +[](C& c) { return &c.http.socket_mode; }, 0, 0777,
          "Permission bits of the files of Unix sockets; who may write to one may connect."},
    Field{"http.max_connections", "", Kind::kCount, +[](C& c) { return &c.http.max_connections; }, 1, 1'000'000,
          "Connections at once; beyond it new ones are answered with 503 and closed."},
    Field{"http.max_head_size", "", Kind::kSize, +[](C& c) { return &c.http.max_head_size; }, kKiB, 60 * kKiB,
          "Size of a request line with its header; beyond it the answer is 431."},
    Field{"http.head_timeout", "", Kind::kDuration, +[](C& c) { return &c.http.head_timeout; }, 100, 10 * kMinute,
          "How long a request line with its header may take to arrive."},
    Field{"http.idle_timeout", "", Kind::kDuration, +[](C& c) { return &c.http.idle_timeout; }, 100, kHour,
          "How long a connection may be idle between two requests."},
    Field{"http.body_timeout", "", Kind::kDuration, +[](C& c) { return &c.http.body_timeout; }, 100, kHour,
          "How long an upload may pause before the answer is 408."},
    Field{"http.min_body_rate", "", Kind::kRate, +[](C& c) { return &c.http.min_body_rate; }, 0, kGiB,
          "The average rate that an upload must keep after its first 30 seconds; 0B/s means any."},
    Field{"http.max_parts", "", Kind::kCount, +[](C& c) { return &c.http.max_parts; }, 1, 100'000,
          "Parts of one multipart request."},
    Field{"http.max_lookup", "", Kind::kCount, +[](C& c) { return &c.http.max_lookup; }, 1, 100'000,
          "Ids in one look-up request."},
    Field{
        "http.request_timeout", "", Kind::kDuration, +[](C& c) { return &c.http.request_timeout; }, 100, kHour,
        "How long the answer may take from the end of the upload; then it is 504. A body waits no longer for the disk, "
        "each time; then it is 503."},
    Field{"http.max_wait", "", Kind::kDuration, +[](C& c) { return &c.http.max_wait; }, 0, kHour,
          "How long GET /v1/scans/{id}?wait= may be held at most."},

    Field{
        "clamd.listen", "--clamd-listen", Kind::kClamdListen, +[](C& c) { return &c.clamd.listen; }, 0, 64,
        "Addresses on which clamd's protocol is spoken; it has no authentication: a TCP address is for a network that "
        "is trusted."},
    Field{"clamd.socket_mode", "", Kind::kMode, +[](C& c) { return &c.clamd.socket_mode; }, 0, 0777,
          "Who may connect to Unix sockets of clamd.listen: the mode of their files."},
    Field{"clamd.socket_owner", "", Kind::kText, +[](C& c) { return &c.clamd.socket_owner; }, 0, 0,
          "USER, USER:GROUP or :GROUP that these files are given to; empty means whoever runs the server."},
    Field{"clamd.allow_paths", "", Kind::kPaths, +[](C& c) { return &c.clamd.allow_paths; }, 0, 1000,
          "Directories in which clients may have files scanned by their path (SCAN, CONTSCAN, MULTISCAN, "
          "ALLMATCHSCAN); everything else is refused."},
    Field{"clamd.max_path_depth", "", Kind::kCount, +[](C& c) { return &c.clamd.max_path_depth; }, 0, 100,
          "How deep directories are scanned; what lies deeper is answered with an error."},
    Field{"clamd.max_path_entries", "", Kind::kCount, +[](C& c) { return &c.clamd.max_path_entries; }, 1, 100'000'000,
          "Entries of all directories of one path scan; beyond it the answer is an error."},
    Field{"clamd.max_path_walks", "", Kind::kCount, +[](C& c) { return &c.clamd.max_path_walks; }, 1, 10'000,
          "Directories that clients may have scanned at once; others wait, clamd.request_timeout at most."},
    Field{
        "clamd.stream_max_size", "", Kind::kSize, +[](C& c) { return &c.clamd.stream_max_size; }, 1, kTiB,
        "Larger contents sent with INSTREAM are refused, as by clamd's StreamMaxLength; content.max_size holds, too."},
    Field{"clamd.unscannable", "", Kind::kClamdUnscannable, +[](C& c) { return &c.clamd.unscannable; }, 0, 0,
          "How contents are answered that could not be judged: ERROR, or FOUND with a name such as "
          "Heuristics.Limits.Exceeded; never OK."},
    Field{"clamd.reload", "", Kind::kClamdReload, +[](C& c) { return &c.clamd.reload; }, 0, 0,
          "Whether the command RELOAD is answered with RELOADING or with COMMAND UNAVAILABLE."},
    Field{"clamd.command_timeout", "", Kind::kDuration, +[](C& c) { return &c.clamd.command_timeout; }, 100, kHour,
          "How long a client may take from its connection to the end of its first command."},
    Field{"clamd.read_timeout", "", Kind::kDuration, +[](C& c) { return &c.clamd.read_timeout; }, 100, kHour,
          "How long a stream may pause, a session be idle and a reply wait to be taken."},
    Field{"clamd.request_timeout", "", Kind::kDuration, +[](C& c) { return &c.clamd.request_timeout; }, 100, kHour,
          "How long the answer may take once a content is there; then it is an error."},
    Field{"clamd.max_connections", "", Kind::kCount, +[](C& c) { return &c.clamd.max_connections; }, 1, 1'000'000,
          "Connections at once; beyond it new ones are told so and closed."},
    Field{"clamd.max_in_flight", "", Kind::kCount, +[](C& c) { return &c.clamd.max_in_flight; }, 1, 1000,
          "Contents of one connection that are scanned at once, in an IDSESSION or a MULTISCAN."},

    Field{"jobs.max_waiting", "", Kind::kCount, +[](C& c) { return &c.jobs.max_waiting; }, 1, 100'000'000,
          "Submitted scans that are not done; beyond it submits are refused with 503."},
    Field{"jobs.disk_budget", "", Kind::kSize, +[](C& c) { return &c.jobs.disk_budget; }, kMiB, 1024 * kTiB,
          "Disk space for their contents; beyond it submits are refused with 503."},
    Field{"jobs.inline_size", "", Kind::kSize, +[](C& c) { return &c.jobs.inline_size; }, 0, 16 * kMiB,
          "Contents up to this size are kept in the queue's database, larger ones as files beside it."},
    Field{"jobs.attempts", "", Kind::kCount, +[](C& c) { return &c.jobs.attempts; }, 1, 100,
          "Scans of a submitted content that may fail in passing (time-out, no space) before it is a dead letter."},
    Field{"jobs.retry_pause", "", Kind::kDuration, +[](C& c) { return &c.jobs.retry_pause; }, 0, kHour,
          "The pause before the second attempt; doubled for each further one."},
    Field{"jobs.lease", "", Kind::kDuration, +[](C& c) { return &c.jobs.lease; }, kSecond, kHour,
          "A worker that is silent for this long loses its job to another one."},
    Field{"jobs.keep_done", "", Kind::kDuration, +[](C& c) { return &c.jobs.keep_done; }, kSecond, 3650 * kDay,
          "How long finished scans stay readable."},
    Field{"jobs.max_done", "", Kind::kCount, +[](C& c) { return &c.jobs.max_done; }, 1, 1'000'000'000,
          "Finished scans that are kept at most; the oldest give way."},
    Field{"jobs.keep_dead", "", Kind::kDuration, +[](C& c) { return &c.jobs.keep_dead; }, kSecond, 3650 * kDay,
          "How long dead letters are kept."},
    Field{"jobs.max_dead", "", Kind::kCount, +[](C& c) { return &c.jobs.max_dead; }, 1, 1'000'000'000,
          "Dead letters that are kept at most; the oldest give way."},
    Field{"jobs.dead_budget", "", Kind::kSize, +[](C& c) { return &c.jobs.dead_budget; }, 0, 1024 * kTiB,
          "Disk space for the contents of dead letters; beyond it the oldest lose theirs and cannot be tried again."},

    Field{"redis.url", "--redis", Kind::kRedisUrl, +[](C& c) { return &c.redis.url; }, 0, 0,
          "Redis, which many servers share for verdicts and jobs; empty: this server keeps its own. A password is "
          "better given in LAZARET_REDIS_URL, since other users see command lines."},
    Field{"redis.node", "", Kind::kText, +[](C& c) { return &c.redis.node; }, 0, 0,
          "What this server is called among those that share redis.url; empty means the name of the host."},
    Field{"redis.shards", "", Kind::kCount, +[](C& c) { return &c.redis.shards; }, 0, 1024,
          "Parts of the job queue, each on one master of a Redis Cluster, the same number for every server; 0 means 1, "
          "or 8 in a Cluster."},
    Field{"redis.max_content", "", Kind::kSize, +[](C& c) { return &c.redis.max_content; }, 1, 512 * kMiB,
          "Larger contents are not queued in Redis, but in redis.content_directory, or else refused with 413."},
    Field{"redis.content_budget", "", Kind::kSize, +[](C& c) { return &c.redis.content_budget; }, kMiB, 16 * kTiB,
          "Memory of Redis for the contents of jobs that are not done; beyond it submits are refused with 503."},
    Field{"redis.content_directory", "", Kind::kPath, +[](C& c) { return &c.redis.content_directory; }, 0, 0,
          "A directory that all servers share (NFS and the like) for contents larger than redis.max_content; "
          "jobs.disk_budget bounds it."},
    Field{"redis.wait_replicas", "", Kind::kCount, +[](C& c) { return &c.redis.wait_replicas; }, 0, 100,
          "Replicas that must have a job before it is acknowledged (WAIT); fewer: 503. Without it a failover may lose "
          "what was acknowledged in its last moment."},
    Field{"redis.wait_timeout", "", Kind::kDuration, +[](C& c) { return &c.redis.wait_timeout; }, 10, kMinute,
          "How long the replicas may take."},
    Field{"redis.claim", "", Kind::kDuration, +[](C& c) { return &c.redis.claim; }, kSecond, 10 * kMinute,
          "A server that is silent for this long while it scans a content loses it to others that wait for the same "
          "content."},
    Field{"redis.turn", "", Kind::kDuration, +[](C& c) { return &c.redis.turn; }, kSecond, 10 * kMinute,
          "After how long the others go on when a server died while it was its turn to load signatures, and without "
          "turns when Redis is gone."},

    Field{"webhook.hosts", "--webhook-host", Kind::kTexts, +[](C& c) { return &c.webhook.hosts; }, 0, 1000,
          "Hosts that may be called back, such as hooks.example.com, *.example.com or example.com:8443; none: no "
          "callbacks."},
    Field{"webhook.private_networks", "", Kind::kTexts, +[](C& c) { return &c.webhook.private_networks; }, 0, 1000,
          "Addresses and networks that may be called back although they are not public, such as 10.0.0.0/8 or ::1."},
    Field{"webhook.secret_file", "", Kind::kPath, +[](C& c) { return &c.webhook.secret_file; }, 0, 0,
          "File with the secret that callbacks are signed with, whsec_ and base64; a second line is an older one."},
    Field{"webhook.ca_file", "", Kind::kPath, +[](C& c) { return &c.webhook.ca_file; }, 0, 0,
          "Certificates (PEM) to trust for callbacks; empty means those of the system."},
    Field{"webhook.attempts", "", Kind::kCount, +[](C& c) { return &c.webhook.attempts; }, 1, 100,
          "How often a callback is tried, with growing pauses, before it is given up."},
    Field{"webhook.timeout", "", Kind::kDuration, +[](C& c) { return &c.webhook.timeout; }, 100, 5 * kMinute,
          "How long one attempt may take."},
    Field{"webhook.concurrency", "", Kind::kCount, +[](C& c) { return &c.webhook.concurrency; }, 1, 1000,
          "Callbacks that are made at once."},
};

std::string ShowNumber(Kind kind, std::uint64_t value) {
  switch (kind) {
    case Kind::kSize: return FormatSize(value);
    case Kind::kRate: return FormatRate(value);
    case Kind::kDuration: return FormatDuration(milliseconds(value));
    case Kind::kMode: return FormatMode(value);
    default: return std::to_string(value);
  }
}

}  // namespace

bool Field::IsList() const {
  switch (kind) {
    case Kind::kListen:
    case Kind::kClamdListen:
    case Kind::kServers:
    case Kind::kTexts:
    case Kind::kPaths: return true;
    default: return false;
  }
}

std::string_view Field::Section() const {
  const std::size_t dot = key.find('.');
  return dot == key.npos ? std::string_view() : key.substr(0, dot);
}

std::string Field::Variable() const {
  std::string name = "LAZARET_";
  for (const char c : key) {
    const bool lower = c >= 'a' && c <= 'z';
    name += c == '.' ? '_' : lower ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::string Field::Allowed() const {
  switch (kind) {
    case Kind::kCount:
    case Kind::kSize:
    case Kind::kRate:
    case Kind::kDuration: return ShowNumber(kind, least) + " to " + ShowNumber(kind, most);
    case Kind::kMode: return "octal, " + ShowNumber(kind, least) + " to " + ShowNumber(kind, most);
    case Kind::kSwitch: return "true or false";
    case Kind::kText: return "a name";
    case Kind::kPath: return "a path";
    case Kind::kPaths: return "up to " + ShowNumber(Kind::kCount, most) + " absolute paths, separated by commas";
    case Kind::kClamdUnscannable: return "error or found";
    case Kind::kClamdReload: return "accept or refuse";
    case Kind::kSignatureReload: return "auto, beside or drain";
    case Kind::kProbeEicar: return "auto, require or ignore";
    case Kind::kSignatureAge: return "ignore, warn or fail";
    case Kind::kClamdListen:
      return ShowNumber(Kind::kCount, least) + " to " + ShowNumber(Kind::kCount, most) +
             " of unix:PATH or tcp:ADDRESS:PORT, such as unix:/run/lazaret/clamd.sock or tcp:127.0.0.1:3310";
    case Kind::kCacheStale: return "strict or serve-and-rescan";
    case Kind::kLogFormat: return "text or json";
    case Kind::kLogLevel: return "debug, info, warning or error";
    case Kind::kTexts: return "up to " + ShowNumber(Kind::kCount, most) + ", separated by commas";
    case Kind::kListen:
      return ShowNumber(Kind::kCount, least) + " to " + ShowNumber(Kind::kCount, most) +
             " of ADDRESS:PORT or unix:/PATH, such as 127.0.0.1:8484 or [::1]:8484";
    case Kind::kEngine: return "auto, embedded, clamd or workers";
    case Kind::kRole: return "all, api or worker";
    case Kind::kRedisUrl:
      return "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS, unix:/PATH, "
             "redis+sentinel://HOST[,HOST...]/MASTER or redis+cluster://HOST[,HOST...]";
    case Kind::kServers:
      return ShowNumber(Kind::kCount, least) + " to " + ShowNumber(Kind::kCount, most) +
             " of unix:PATH or tcp:HOST:PORT, such as unix:/run/clamav/clamd.ctl or tcp:10.0.0.7:3310";
  }
  throw std::logic_error("field of no kind");
}

std::string_view Field::Placeholder() const {
  switch (kind) {
    case Kind::kCount: return "NUMBER";
    case Kind::kSize: return "SIZE";
    case Kind::kRate: return "RATE";
    case Kind::kDuration: return "TIME";
    case Kind::kSwitch: return "BOOLEAN";
    case Kind::kText: return "NAME";
    case Kind::kPath:
    case Kind::kPaths: return "PATH";
    case Kind::kClamdUnscannable:
    case Kind::kCacheStale:
    case Kind::kClamdReload:
    case Kind::kSignatureReload:
    case Kind::kProbeEicar:
    case Kind::kSignatureAge: return "WORD";
    case Kind::kClamdListen: return "unix:PATH|tcp:ADDR:PORT";
    case Kind::kLogFormat: return "FORMAT";
    case Kind::kLogLevel: return "LEVEL";
    case Kind::kListen: return "ADDR:PORT";
    case Kind::kMode: return "MODE";
    case Kind::kTexts: return "LIST";
    case Kind::kEngine: return "KIND";
    case Kind::kRole: return "ROLE";
    case Kind::kRedisUrl: return "URL";
    case Kind::kServers: return "SERVER";
  }
  throw std::logic_error("field of no kind");
}

std::span<const Field> Fields() { return kFields; }

const Field* FindField(std::string_view key) {
  const auto field = std::ranges::find(kFields, key, &Field::key);
  return field == kFields.end() ? nullptr : &*field;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

const Field& NearestField(std::string_view key) {
  const auto name = [](std::string_view k) { return k.substr(k.rfind('.') + 1); };
  // A right name in a wrong or missing section is nearer than its letters say.
  const auto distance = [&](const Field& field) {
    return std::min(EditDistance(key, field.key), EditDistance(name(key), name(field.key)) + 2);
  };
  return *std::ranges::min_element(kFields, {}, distance);
}

}  // namespace lazaret::config
