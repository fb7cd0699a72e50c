# Sourced by the scripts of this repository: messages, and configuring and building a preset.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# As many compilers as cores, but no more than fit: one may take a gigabyte.
build_jobs() {
  local cores gigabytes
  cores=$(nproc)
  gigabytes=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null || echo "$cores")
  if [ "${gigabytes:-0}" -lt 1 ]; then gigabytes=1; fi
  if [ "$gigabytes" -lt "$cores" ]; then echo "$gigabytes"; else echo "$cores"; fi
}

# configure PRESET [-DOPTION=VALUE]...: in the root of the repository. A build directory that cannot be reconfigured
# (another compiler or generator, a moved checkout) is started anew.
configure() {
  local preset=$1
  shift
  say "configuring the $preset build in build/$preset"
  if ! cmake --preset "$preset" "$@"; then
    if [ ! -e "build/$preset/CMakeCache.txt" ]; then return 1; fi
    say "configuring failed; once more with an empty cache"
    cmake --fresh --preset "$preset" "$@"
  fi
}

# build PRESET [TARGET]...
build() {
  local preset=$1 jobs
  shift
  jobs=$(build_jobs)
  say "building the $preset build with $jobs jobs; the first time takes some minutes"
  if [ $# -gt 0 ]; then
    cmake --build --preset "$preset" --parallel "$jobs" --target "$@"
  else
    cmake --build --preset "$preset" --parallel "$jobs"
  fi
}
