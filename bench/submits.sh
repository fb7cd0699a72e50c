#!/usr/bin/env bash
# Durable submits a second beside the bare commit rate of SQLite on the same disk, in turn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'EOF'
Usage: bench/submits.sh [--bytes N] [--seconds N] [--rounds N] [--directory PATH] [--scanning]

Starts lazaret (build/release/bin) on loopback and lets wrk submit contents, each another one, to POST /v1/scans over 1
and over 64 connections. Every answer is a 202 that was given after the commit was synced. In the same round the sqlite3
program inserts rows of the same size into a file in the same directory (WAL, synchronous=FULL), one and 64 to a commit:
what this disk can do. Needs wrk, sqlite3 and curl; build first: ./run.sh --build-only

  --bytes N         size of each content (default 4096)
  --seconds N       length of each measurement (default 5)
  --rounds N        rounds (default 3)
  --directory PATH  where the data lies, on the disk to be measured (default: a new one below /tmp)
  --scanning        with the engine: scans take their part of the cores. Without, the server has no signatures, and
                    jobs wait
EOF
}

bytes=4096 seconds=5 rounds=3 directory=/tmp scanning=false
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --bytes) bytes=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    --directory) directory=$2 && shift ;;
    --scanning) scanning=true ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
for program in wrk sqlite3 curl build/release/bin/lazaret; do
  command -v "$program" >/dev/null || { echo "submits.sh: $program is missing (apt-get install wrk sqlite3 curl; ./run.sh --build-only)" >&2; exit 1; }
done

work=$(mktemp -d "$directory/lazaret-submits-XXXXXX")
port=18586
server=
stop_server() {
  if [ -z "$server" ]; then return; fi
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=
}
cleanup() { stop_server && rm -rf "$work"; }
trap cleanup EXIT

# Bodies that differ in their first 24 bytes.
cat >"$work/submit.lua" <<EOF
local rest = string.rep("a", math.max($bytes - 24, 0))
local count = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
request = function()
  count = count + 1
  return wrk.format(nil, "/v1/scans", nil, string.format("%024d", count) .. rest)
end
done = function(summary, latency)
  io.write(string.format("result %.0f %.2f %.2f %d\n", summary.requests / (summary.duration / 1e6),
           latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status))
end
EOF

start_server() {
  local signatures=(--signatures "$work/none") path=healthz
  if $scanning; then signatures=(--test-signatures) path=readyz; fi
  rm -rf "$work/data"
  build/release/bin/lazaret serve "${signatures[@]}" --data "$work/data" --listen "127.0.0.1:$port" \
    --set jobs.max_waiting=10000000 --log-level error 2>>"$work/lazaret.log" &
  server=$!
  for _ in $(seq 100); do curl -sf "http://127.0.0.1:$port/$path" >/dev/null && return; sleep 0.1; done
  echo "submits.sh: the server does not answer:" >&2
  cat "$work/lazaret.log" >&2
  exit 1
}

# Prints submits a second, median and 99th percentile of the time to the ACK (ms).
submit() { # CONNECTIONS
  start_server
  wrk -t1 -c"$1" -d"${seconds}s" -s "$work/submit.lua" "http://127.0.0.1:$port" | awk '
    /^result/ { print $2, $3, $4; if ($5 > 0) print "errors:", $5 > "/dev/stderr" }'
  stop_server
}

# Prints rows a second of so many commits.
commit() { # ROWS_PER_COMMIT COMMITS
  rm -f "$work"/bare.*
  {
    printf '%s\n' 'PRAGMA journal_mode=WAL;' 'PRAGMA synchronous=FULL;' \
      'CREATE TABLE job(id BLOB PRIMARY KEY, content BLOB);' "SELECT 'at',julianday();"
    awk -v rows="$1" -v commits="$2" -v bytes="$bytes" 'BEGIN {
      for (i = 0; i < commits; ++i) {
        print "BEGIN;"
        for (j = 0; j < rows; ++j) printf "INSERT INTO job VALUES(randomblob(32),randomblob(%d));\n", bytes
        print "COMMIT;"
      }
    }'
    echo "SELECT 'at',julianday();"
  } >"$work/bare.sql"
  sqlite3 "$work/bare.db" <"$work/bare.sql" | awk -F'|' -v rows=$(($1 * $2)) '
    $1 == "at" { if (begin == "") begin = $2; else printf "%.0f\n", rows / (($2 - begin) * 86400) }'
}

if $scanning; then engine='scanning what is submitted'; else engine='no engine: jobs wait'; fi
echo "$bytes bytes, $seconds s a measurement, $(nproc) cores, data in $directory, $engine"
for round in $(seq "$rounds"); do
  one=$(commit 1 1500)
  many=$(commit 64 150)
  read -r submits1 p50_1 p99_1 < <(submit 1)
  read -r submits64 p50_64 p99_64 < <(submit 64)
  echo "$submits1 $one $submits64 $many" >>"$work/rounds"
  echo "round $round: 1 connection $submits1/s (p50 $p50_1 ms, p99 $p99_1 ms), bare $one/s;" \
    "64 connections $submits64/s (p50 $p50_64 ms, p99 $p99_64 ms), bare $many/s"
done
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%s", v[int((NR + 1) / 2)] }'; }
echo "median: 1 connection $(awk '{print $1}' "$work/rounds" | median)/s, bare commits of one row" \
  "$(awk '{print $2}' "$work/rounds" | median)/s, ratio $(awk '{printf "%.2f\n", $1/$2}' "$work/rounds" | median)"
echo "median: 64 connections $(awk '{print $3}' "$work/rounds" | median)/s, bare rows in commits of 64" \
  "$(awk '{print $4}' "$work/rounds" | median)/s, ratio $(awk '{printf "%.2f\n", $3/$4}' "$work/rounds" | median)"
