#!/usr/bin/env bash
# GETs a second through the Redis client, beside redis-benchmark with the same pipelining, in turn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'EOT'
Usage: bench/redis_gets.sh [--bytes N] [--tasks N] [--commands N] [--rounds N]

Starts a redis-server on a Unix socket, and lets redis-benchmark (-P TASKS, one connection) and the client (TASKS
coroutines, one connection) get one key from it in turn; then the client once more with its callers on another thread.
Needs redis-tools and a release build with -DLAZARET_BENCHMARKS=ON.

  --bytes N     size of the value (default 300)
  --tasks N     commands under way at a time (default 64)
  --commands N  of each measurement (default 1000000)
  --rounds N    measurements of each (default 5)
EOT
}

bytes=300 tasks=64 commands=1000000 rounds=5
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --bytes) bytes=$2 && shift ;;
    --tasks) tasks=$2 && shift ;;
    --commands) commands=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
client=build/release/bin/redis_client_benchmark
for program in redis-cli redis-benchmark redis-check-rdb "$client"; do
  command -v "$program" >/dev/null || { echo "redis_gets.sh: $program is missing (apt-get install redis-tools; cmake --preset release -DLAZARET_BENCHMARKS=ON && cmake --build --preset release --target redis_client_benchmark)" >&2; exit 1; }
done

work=$(mktemp -d)
socket=$work/redis.sock
# In Debian's redis-tools the server is the same program under another name.
(exec -a redis-server "$(command -v redis-check-rdb)" --port 0 --unixsocket "$socket" --dir "$work" --save '' >"$work/log") &
server=$!
cleanup() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
until redis-cli -s "$socket" ping >/dev/null 2>&1; do kill -0 "$server"; sleep 0.1; done
head -c "$bytes" /dev/zero | tr '\0' x | redis-cli -s "$socket" -x set key:__rand_int__ >/dev/null

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
baseline() {
  redis-benchmark -s "$socket" -c 1 -P "$tasks" -n "$commands" --csv get key:__rand_int__ | tail -n 1 | cut -d, -f2 | tr -d '"'
}
ours() { "$client" "unix:$socket" key:__rand_int__ "$commands" "$tasks" "$@" | tee -a "$work/lines" | cut -d' ' -f1; }
for _ in $(seq "$rounds"); do
  baseline >>"$work/baseline"
  ours >>"$work/ours"
  ours elsewhere >>"$work/elsewhere"
done
tail -n 2 "$work/lines"
for who in baseline ours elsewhere; do
  printf '%-10s %s/s\n' "$who" "$(median <"$work/$who")"
done
awk -v a="$(median <"$work/ours")" -v b="$(median <"$work/baseline")" -v c="$(median <"$work/elsewhere")" \
  'BEGIN { printf "ratio %.2f; callers on another thread %.2f\n", a / b, c / b }'
