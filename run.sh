#!/usr/bin/env bash
# From a fresh checkout to a running service.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/common.sh

usage() {
  cat <<'EOF'
Usage: ./run.sh [--build-only] [--no-install] [--] [OPTION OF lazaret serve]...

Installs the Debian packages that are missing, builds lazaret, gets virus signatures when there are none, and starts the
service on http://127.0.0.1:8484 until ^C. What it makes is below ./build, but for signatures in /var/lib/clamav when root
runs it, and data in /var/lib/lazaret when root runs it in a place that nobody else can reach, such as /root.

  --build-only   stop after the build
  --no-install   do not install packages
  -h, --help     show this text

Examples:
  ./run.sh
  ./run.sh -- --listen 0.0.0.0:8484 --log-level debug
  ./run.sh -- --test-signatures

All options of lazaret serve: build/release/bin/lazaret serve --help
EOF
}

build_only=false
install=true
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --build-only) build_only=true ;;
    --no-install) install=false ;;
    --) shift && break ;;
    *) break ;;
  esac
  shift
done

if $install; then
  if $build_only; then scripts/install-dependencies.sh build; else scripts/install-dependencies.sh build run; fi
fi

# A build directory that was made for the tests stays one; a newcomer needs no GoogleTest.
tests=OFF
if grep --quiet '^LAZARET_TESTS:BOOL=ON' build/release/CMakeCache.txt 2>/dev/null; then tests=ON; fi
configure release -DLAZARET_TESTS="$tests" -DLAZARET_SANITIZE= -DLAZARET_FUZZ=OFF
build release lazaret lazaret_scanner_exe
say "built build/release/bin/lazaret and build/release/bin/lazaret-scanner"
if $build_only; then exit 0; fi

# True when DIRECTORY holds databases that libclamav loads; of the official ones both large ones must be there, as an
# interrupted download may have left one alone.
has_signatures() {
  local directory=$1 found
  found=$(find "$directory" -maxdepth 1 -type f -size +0 2>/dev/null | sed 's|.*/||' || true)
  if grep --quiet -E '^main\.(cvd|cld)$' <<<"$found" && grep --quiet -E '^daily\.(cvd|cld)$' <<<"$found"; then return 0; fi
  grep -E '\.(cvd|cld|cud|db|hdb|hsb|mdb|msb|ndb|ldb|idb|cbc|cdb|yar|yara)$' <<<"$found" |
    grep --quiet -v -E '^(main|daily|bytecode)\.(cvd|cld)$'
}

# Downloads the official signatures into DIRECTORY as USER; false when they did not come.
download_signatures() {
  local directory=$1 user=$2 config=$PWD/build/freshclam.conf program
  program=$(command -v freshclam || echo /usr/bin/freshclam)
  if [ ! -x "$program" ]; then
    warn 'there is no freshclam to download signatures with'
    return 1
  fi
  mkdir -p "$directory"
  printf '%s\n' "DatabaseDirectory $directory" "DatabaseOwner $user" 'DatabaseMirror database.clamav.net' \
    'MaxAttempts 1' 'ConnectTimeout 10' 'TestDatabases no' >"$config"
  say "no virus signatures in $directory: downloading them with freshclam, for at most 60 seconds; ^C skips this"
  # The shell has to outlive the ^C that ends freshclam.
  trap ':' INT
  timeout --foreground --kill-after=5 60 "$program" --config-file="$config" --stdout </dev/null || true
  trap - INT
  has_signatures "$directory"
}

warn_about_test_set() {
  cat >&2 <<'EOF'

******************************************************************************
*  NO VIRUS SIGNATURES: this service DETECTS NOTHING but the EICAR test file *
*  (--test-signatures). It is for trying out and NOT FIT FOR USE.            *
*                                                                            *
*  To get signatures: run  freshclam  as root where there is a network       *
*  (it fills /var/lib/clamav), then start ./run.sh again.                    *
******************************************************************************

EOF
}

# What the options and the environment say themselves is theirs to say.
address=127.0.0.1:8484
own_signatures=${LAZARET_SIGNATURES_DIRECTORY:-}${LAZARET_SIGNATURES_TEST_SET:-}${LAZARET_CONFIG:-}
own_data=${LAZARET_DATA:-}${LAZARET_CONFIG:-}
previous=
for argument in "$@"; do
  case $argument in
    --signatures* | --test-signatures* | signatures.directory=* | signatures.test_set=* | --set=signatures.*)
      own_signatures=$argument
      ;;
    --config*) own_signatures=$argument own_data=$argument ;;
    --listen=*) address=${argument#--listen=} ;;
  esac
  if [ "$previous" = --listen ]; then address=$argument; fi
  previous=$argument
done

# True when DIRECTORY can be reached by the user that scanners run as when root starts the service.
scanners_can_reach() {
  if [ "$(id -u)" -ne 0 ]; then return 0; fi
  setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$1"
}

arguments=()
if [ -z "$own_data" ]; then
  data=$PWD/build/data
  mkdir -p "$data"
  chmod go+x "$data"
  if ! scanners_can_reach "$data"; then
    data=/var/lib/lazaret
    say "data goes to $data: scanners run as nobody, who cannot reach $PWD"
  fi
  arguments+=(--data "$data")
fi
if [ -z "$own_signatures" ]; then
  system=/var/lib/clamav
  ours=$PWD/build/signatures
  if has_signatures "$system"; then
    arguments+=(--signatures "$system")
  elif has_signatures "$ours"; then
    arguments+=(--signatures "$ours")
  else
    if [ "$(id -u)" -eq 0 ] && [ -d "$system" ]; then
      directory=$system user=$(id -nu clamav 2>/dev/null || echo root)
    else
      directory=$ours user=$(id -nu)
    fi
    if download_signatures "$directory" "$user"; then
      arguments+=(--signatures "$directory")
    else
      warn_about_test_set
      arguments+=(--test-signatures)
    fi
  fi
fi

address=${address/#0.0.0.0:/127.0.0.1:}
address=${address/#\[::\]:/[::1]:}
curl=curl url=http://$address
case $address in
  unix:*) curl="curl --unix-socket ${address#unix:}" url=http://localhost ;;
esac
# The EICAR test string in two halves, so that no scanner takes this file for it.
eicar_head='X5O!P%@AP[4\PZX54(P^)7CC)7}$'
# shellcheck disable=SC2016 # nothing is meant to expand
eicar_tail='EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'
cat <<EOF

Try it from another terminal:
  $curl --data-binary @run.sh $url/v1/scan
  printf %s '$eicar_head''$eicar_tail' | $curl --data-binary @- $url/v1/scan
  $curl --data-binary @test.sh $url/v1/scans                         # without waiting
  $curl "$url/v1/scans/\$(sha256sum < test.sh | cut -d' ' -f1)?wait=30"
  $curl $url/v1/info

EOF
say "starting: build/release/bin/lazaret serve ${arguments[*]} $*"
exec build/release/bin/lazaret serve "${arguments[@]}" "$@"
