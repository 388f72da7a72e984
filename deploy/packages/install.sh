# shellcheck shell=bash
# Sourced by quickstart.sh and tests/run.sh: the Debian packages that lists of this folder name, one a line.

# install_packages LIST...: installs what is missing, as root or with sudo; nothing is touched when all is there.
install_packages() {
    local folder list package missing=() privilege=()
    folder=$(dirname "${BASH_SOURCE[0]}")
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        check_tools "$folder" "$@"
        return
    fi
    for list in "$@"; do
        while read -r package; do
            [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
        done <"$folder/$list"
    done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "missing packages, and neither root nor sudo to install them: ${missing[*]}"
        privilege=(sudo)
    fi
    echo "installing ${missing[*]}"
    # The package lists of this machine may do; only where they do not are they fetched anew.
    if apt_get install "${missing[@]}" >/dev/null 2>&1; then return; fi
    apt_get update >/dev/null || fail "apt-get update failed; still missing: ${missing[*]}"
    apt_get install "${missing[@]}" >/dev/null || fail "apt-get could not install: ${missing[*]}"
}

# Sets apt_failed while the last call failed, for a script that can do without the packages.
# shellcheck disable=SC2034
apt_get() {
    apt_failed=yes
    "${privilege[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o APT::Install-Recommends=false "$@" </dev/null && apt_failed=
}

# Without apt: whether the libraries and tools are there all the same.
check_tools() {
    local folder=$1 tool missing=()
    shift
    for tool in cc make cmake pkg-config; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    for tool in libmicrohttpd libuv jansson gnutls openblas libpcre2-8 libutf8proc libedit; do
        pkg-config --exists "$tool" 2>/dev/null || missing+=("$tool")
    done
    ((${#missing[@]})) || return 0
    fail "this system has no apt-get; install by hand: ${missing[*]} (on Debian: $(cd "$folder" && sort -u "$@" | tr '\n' ' '))"
}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}
