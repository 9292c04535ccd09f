# common.sh: what demo and test share: their options, installing what is missing,
# configuring and building, and saying how long each stage took. To be sourced.
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

set -euo pipefail

TE_SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TE_ROOT=$(cd "$TE_SCRIPTS/../.." && pwd)
TE_PRESET=release
TE_BUILD=$TE_ROOT/build/$TE_PRESET
TE_VENV=$TE_ROOT/build/venv
# Debian's own: the packages of packages.txt are installed for this one, which
# need not be the first on PATH.
TE_PYTHON=/usr/bin/python3

dry_run=false
jobs=

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# stage TITLE COMMAND...: runs the command and says how long it took.
stage() {
  local title=$1 begin=$EPOCHREALTIME status=0
  shift
  say "== $title"
  "$@" || status=$?
  local us=$((${EPOCHREALTIME/[.,]/} - ${begin/[.,]/}))
  if ((status)); then
    say "error: '$title' failed with status $status after $((us / 1000000)) s"
    return "$status"
  fi
  say "$(printf '   %d.%d s' $((us / 1000000)) $((us / 100000 % 10)))"
}

# parse_options SUMMARY "$@": the options that the scripts share. Arguments after
# `--` are left in the array `rest`.
parse_options() {
  local summary=$1 name
  name=tools/scripts/$(basename "$0")
  shift
  rest=()
  while (($#)); do
    case $1 in
    -h | --help)
      cat <<HELP
usage: $name [options]

$summary

  -n, --dry-run   only say what would be installed
  -j N            number of parallel jobs (default: what cores and memory allow)
  -h, --help      this text
HELP
      exit 0
      ;;
    -n | --dry-run) dry_run=true ;;
    -j)
      (($# > 1)) || die "-j wants a number"
      jobs=$2
      shift
      ;;
    -j*) jobs=${1#-j} ;;
    --)
      shift
      rest=("$@")
      break
      ;;
    *) die "unknown option '$1': see $name --help" ;;
    esac
    shift
  done
  [[ -z $jobs || $jobs =~ ^[1-9][0-9]*$ ]] ||
    die "-j wants a positive number, found '$jobs'"
  [[ -n $jobs ]] || jobs=$(default_jobs)
}

# A translation unit that includes MLIR takes up to 1.5 GiB.
default_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1572864)}' /proc/meminfo)
  ((memory >= 1)) || memory=1
  echo $((cores < memory ? cores : memory))
}

# The lines of a list with '#' comments.
entries() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"; }

missing_packages() {
  local package
  while read -r package; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      echo "$package"
  done < <(entries "$TE_SCRIPTS/packages.txt")
}

# No `grep -q` behind a pipe: it leaves early, and apt-cache then dies of SIGPIPE.
has_candidate() {
  [[ $(apt-cache policy "$1" 2>/dev/null) == *$'\n  Candidate: '[!\(]* ]]
}

# as_root COMMAND...: through sudo where needed.
as_root() {
  if ((EUID == 0)); then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    die "'$*' needs root, and there is no sudo here: run it as root, then this script again"
  fi
}

apt_get() {
  as_root apt-get -q -y -o DPkg::Lock::Timeout=300 -o APT::Color=0 "$@"
}

install_packages() {
  local package unknown=() missing
  command -v dpkg-query >/dev/null ||
    die "no dpkg here: install the equivalents of tools/scripts/packages.txt, then build with 'cmake --preset $TE_PRESET'"
  mapfile -t missing < <(missing_packages)
  if ((!${#missing[@]})); then
    ! $dry_run || say "apt: nothing to install"
    return 0
  fi
  if $dry_run; then
    say "apt: would install ${missing[*]}"
    return 0
  fi
  stage "Package lists" apt_get update
  for package in "${missing[@]}"; do
    has_candidate "$package" || unknown+=("$package")
  done
  ((!${#unknown[@]})) ||
    die "apt knows no ${unknown[*]}. On Debian 12, LLVM 22 is in the suite 'bookworm-security' (component main): add it to the apt sources and run this again"
  stage "Packages: ${missing[*]}" apt_get install --no-install-recommends "${missing[@]}"
}

# build/venv, with what PyPI alone has. A machine that cannot reach it goes on
# without: lit then counts the tests that need it as unsupported.
install_python_packages() {
  local wanted=$TE_SCRIPTS/requirements.txt stamp=$TE_VENV/installed.txt
  cmp -s "$wanted" "$stamp" && [[ -x $TE_VENV/bin/python ]] && return 0
  if $dry_run; then
    say "pip: would install into build/venv: $(entries "$wanted" | tr '\n' ' ')"
    return 0
  fi
  stage "Python packages, into build/venv" fill_venv "$wanted" "$stamp" ||
    say "warning: no build/venv, so the tests with ml_dtypes and that of the site are SKIPPED: make PyPI reachable (or configure pip) and run this again"
}

fill_venv() {
  "$TE_PYTHON" -m venv --clear --system-site-packages "$TE_VENV" &&
    "$TE_VENV/bin/pip" install -q --disable-pip-version-check --no-input \
      --no-deps --only-binary :all: -r "$1" >&2 &&
    cp "$1" "$2"
}

# Hits across clones, and with precompiled headers.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$(dirname "$TE_ROOT")}
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros,include_file_mtime,include_file_ctime}

# Ninja itself configures again where a CMakeLists.txt changed; presets it does
# not know about.
configure() {
  local ninja=$TE_BUILD/build.ninja
  [[ $ninja -nt $TE_ROOT/CMakePresets.json &&
    $ninja -nt $TE_ROOT/tools/cmake/compilers.cmake ]] && return 0
  (cd "$TE_ROOT" && stage "Configure" cmake --preset "$TE_PRESET" >&2)
}

build() {
  export NINJA_STATUS='[%f/%t, %es] '
  stage "Build (-j $jobs)" ninja -C "$TE_BUILD" -j "$jobs" >&2
}
