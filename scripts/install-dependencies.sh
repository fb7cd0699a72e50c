#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing.
set -euo pipefail

# The one list of packages that Lazaret needs.
# To build: the compiler and linker, the build tools, then the libraries.
build_packages=(
  clang-19 lld-19 cmake ninja-build pkg-config
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libssl-dev libclamav-dev libsqlite3-dev libseccomp-dev zlib1g-dev libbz2-dev libhiredis-dev
  libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev prometheus-cpp-dev
)
# What run.sh uses besides: signatures, and something to try the service with.
run_packages=(clamav-freshclam curl ca-certificates)
# To test: sanitizers and libFuzzer, the test framework, files to scan; the real clamd, freshclam and clients of clamd; a Redis server;
# what reads the manifests in deploy/.
# Debian starts clamd when it installs clamav-daemon, where services are started at all (policy-rc.d decides); without
# signatures in /var/lib/clamav it does not run. The tests start their own and leave that one alone. The Redis server of
# Debian 12 is in redis-tools (as redis-check-rdb); redis-server would only add a service.
test_packages=(
  libclang-rt-19-dev libgtest-dev libgmock-dev clamav-testfiles zip
  clamav-daemon clamav-freshclam clamdscan python3 python3-pyclamd python3-yaml openssl redis-tools
)
# To measure with bench/run.py: a build with -DLAZARET_BENCHMARKS=ON, and what is compared with.
bench_packages=(
  python3 git libbenchmark-dev libgtest-dev libgmock-dev nginx-light clamav-daemon clamdscan clamav-testfiles openssl redis-tools
)

usage() {
  cat <<EOF
Usage: scripts/install-dependencies.sh [--list] [build|run|test|bench]...

Installs the Debian 12 packages that Lazaret needs and that are missing, as root or with sudo, without asking.
  build    to compile it                       (${build_packages[*]})
  run      to run it with ./run.sh             (${run_packages[*]})
  test     to run the tests with ./test.sh     (${test_packages[*]})
  bench    to measure with bench/run.py        (${bench_packages[*]})
Without a word: all but the last.
  --list   print the packages, one a line, and install nothing
EOF
}

list_only=false
packages=()
for word in "$@"; do
  case $word in
    -h | --help) usage && exit 0 ;;
    --list) list_only=true ;;
    build) packages+=("${build_packages[@]}") ;;
    run) packages+=("${run_packages[@]}") ;;
    test) packages+=("${test_packages[@]}") ;;
    bench) packages+=("${bench_packages[@]}") ;;
    *) usage >&2 && exit 2 ;;
  esac
done
if [ ${#packages[@]} -eq 0 ]; then
  packages=("${build_packages[@]}" "${run_packages[@]}" "${test_packages[@]}")
fi
if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

by_hand() {
  printf '%s\n' "install-dependencies.sh: $1" "Install these packages by hand, or what they are called here, then pass" \
    "--no-install to the script that you started:" "  $2" >&2
  exit 1
}

debian=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}" || echo 'an unknown system')
if [ "$debian" != 'debian 12' ]; then
  by_hand "this is $debian, and Lazaret is built from the packages of Debian 12." "${packages[*]}"
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  if [ "$status" != installed ]; then missing+=("$package"); fi
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    by_hand 'packages are missing, and this is neither root nor is there sudo.' "${missing[*]}"
  fi
  as_root=(sudo)
  # Nobody can type a password there.
  if [ ! -t 0 ]; then as_root+=(--non-interactive); fi
  if ! "${as_root[@]}" true; then by_hand 'packages are missing, and sudo does not let us in.' "${missing[*]}"; fi
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)

printf '==> installing the Debian packages that Lazaret is built and run with and that are missing: %s\n' "${missing[*]}"
if ! "${apt[@]}" update || ! "${apt[@]}" install --no-install-recommends "${missing[@]}"; then
  by_hand 'apt-get failed; see above.' "${missing[*]}"
fi
