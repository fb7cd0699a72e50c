#!/usr/bin/env bash
# Builds everything and runs the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/common.sh

usage() {
  cat <<'EOF'
Usage: ./test.sh [--quick] [--asan] [--fuzz SECONDS] [--no-install] [--] [ARGUMENT OF ctest]...

Installs the Debian packages that are missing, then builds and runs:
  1. the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer (build/asan)
  2. all tests of the release build: unit, integration, chaos (build/release)
It stops at the first of these that fails; the last lines printed are ctest's summary.

  --quick          only the unit tests of the release build
  --asan           all tests, not only the unit tests, under the sanitizers, too
  --fuzz SECONDS   also run each fuzz target for so long
  --no-install     do not install packages
  -h, --help       show this text

Examples:
  ./test.sh
  ./test.sh --quick -R Digest
EOF
}

quick=false
asan_label=(-L '^unit$')
fuzz_seconds=0
install=true
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --quick) quick=true ;;
    --asan) asan_label=() ;;
    --fuzz)
      if ! [[ ${2:-} =~ ^[1-9][0-9]*$ ]]; then die '--fuzz needs a number of seconds'; fi
      fuzz_seconds=$2
      shift
      ;;
    --no-install) install=false ;;
    --) shift && break ;;
    *) break ;;
  esac
  shift
done

if $install; then scripts/install-dependencies.sh build test; fi

run_ctest() {
  local directory=$1
  shift
  say "testing in $directory"
  ctest --test-dir "$directory" --output-on-failure --no-tests=error -j2 "$@"
}

fuzz() {
  local target name
  configure fuzz
  build fuzz
  for target in build/fuzz/fuzz/*; do
    if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
    name=${target##*/}
    say "fuzzing $name for $fuzz_seconds seconds"
    # What libFuzzer finds goes to the first directory; the seeds in the repository stay as they are.
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/artifacts/$name"
    seeds=()
    if [ -d "tests/fuzz/corpus/$name" ]; then seeds=("tests/fuzz/corpus/$name"); fi
    "$target" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/artifacts/$name/" "build/fuzz/corpus/$name" "${seeds[@]}"
  done
}

configure release -DLAZARET_TESTS=ON -DLAZARET_SANITIZE= -DLAZARET_FUZZ=OFF
build release
if $quick; then
  run_ctest build/release -L '^unit$' "$@"
  exit
fi
configure asan -DLAZARET_TESTS=ON -DLAZARET_FUZZ=OFF
if [ ${#asan_label[@]} -gt 0 ]; then build asan unit_tests; else build asan; fi
if [ "$fuzz_seconds" -gt 0 ]; then fuzz; fi
run_ctest build/asan "${asan_label[@]}" "$@"
run_ctest build/release "$@"
