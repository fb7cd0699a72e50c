#!/usr/bin/env bash
# Cache hits a second beside nginx's "return 200", with wrk, in turn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'EOF'
Usage: bench/hits.sh [--bytes N] [--connections N] [--seconds N] [--rounds N]

Starts lazaret (build/release/bin, test signatures) and nginx on loopback, has one content judged, then lets wrk send it
again and again to both in turn. Needs nginx-light, wrk and curl; build first: ./run.sh --build-only

  --bytes N        size of the body (default 1024)
  --connections N  keep-alive connections (default 32)
  --seconds N      length of each measurement (default 5)
  --rounds N       measurements of each server (default 5)
EOF
}

bytes=1024 connections=32 seconds=5 rounds=5
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --bytes) bytes=$2 && shift ;;
    --connections) connections=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done
for program in nginx wrk curl build/release/bin/lazaret; do
  command -v "$program" >/dev/null || { echo "hits.sh: $program is missing (apt-get install nginx-light wrk curl; ./run.sh --build-only)" >&2; exit 1; }
done

work=$(mktemp -d)
lazaret_port=18584 nginx_port=18585
pids=()
cleanup() {
  if [ ${#pids[@]} -gt 0 ]; then kill "${pids[@]}" 2>/dev/null || true; wait "${pids[@]}" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

cat >"$work/nginx.conf" <<EOF
worker_processes $(nproc);
daemon off;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
  server { listen 127.0.0.1:$nginx_port reuseport; location / { return 200 "ok"; } }
}
EOF
cat >"$work/post.lua" <<EOF
wrk.method = "POST"
wrk.body = string.rep("a", $bytes)
wrk.headers["Content-Type"] = "application/octet-stream"
EOF
nginx -c "$work/nginx.conf" 2>/dev/null &
pids+=($!)
build/release/bin/lazaret serve --test-signatures --data "$work/data" --listen "127.0.0.1:$lazaret_port" --log-level warning 2>"$work/lazaret.log" &
pids+=($!)
for _ in $(seq 100); do curl -sf "http://127.0.0.1:$lazaret_port/readyz" >/dev/null && break; sleep 0.1; done
head -c "$bytes" /dev/zero | tr '\0' a | curl -sf --data-binary @- "http://127.0.0.1:$lazaret_port/v1/scan" >/dev/null

measure() { # URL
  wrk -t1 -c"$connections" -d"${seconds}s" -s "$work/post.lua" "$1" | awk '/^Requests\/sec/ { print $2 } /Non-2xx/ { print "errors:", $0 > "/dev/stderr" }'
}
echo "$bytes bytes, $connections connections, $seconds s a measurement, $(nproc) cores"
for round in $(seq "$rounds"); do
  lazaret=$(measure "http://127.0.0.1:$lazaret_port/v1/scan")
  nginx=$(measure "http://127.0.0.1:$nginx_port/")
  awk -v r="$round" -v l="$lazaret" -v n="$nginx" 'BEGIN { printf "round %d: lazaret %.0f/s, nginx %.0f/s, ratio %.2f\n", r, l, n, l / n }'
  echo "$lazaret $nginx" >>"$work/rounds"
done
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
echo "median: lazaret $(awk '{print $1}' "$work/rounds" | median), nginx $(awk '{print $2}' "$work/rounds" | median), ratio $(awk '{print $1/$2}' "$work/rounds" | median)"
