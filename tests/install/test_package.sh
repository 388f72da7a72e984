#!/usr/bin/env bash
# The Debian package of a build: what is in it, what lintian says, and its life: installed, served from, upgraded with an edited
# configuration, taken back, removed, purged. That happens in a copy of this system that takes no file back (an overlay in a mount
# namespace). Usage: test_package.sh BUILD_FOLDER. Exit code 77 where packages cannot be made or installed here.
set -euo pipefail
build=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/prenorm-package-XXXXXX")
trap 'rm -rf "$work"' EXIT

complain() {
    echo "$*"
    exit 1
}

# make VERSION: the path of a package of this version.
make() {
    (cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/$1" -D CPACK_PACKAGE_VERSION="$1" >"$work/cpack.log" 2>&1) ||
        { tail "$work/cpack.log"; return 1; }
    find "$work/$1" -maxdepth 1 -name '*.deb'
}

check_content() {
    local file list
    list=$(dpkg-deb -c "$1")
    for file in /usr/bin/prenormd /usr/share/prenorm/models/tales/model.safetensors /etc/prenorm/prenormd.json \
        /usr/lib/systemd/system/prenormd.service /usr/lib/systemd/system/prenormd.socket /usr/lib/sysusers.d/prenorm.conf \
        /usr/share/prenorm/monitoring/rules.yml /usr/share/prenorm/monitoring/prenorm.json /usr/share/doc/prenorm/copyright; do
        grep -q " \.$file\$" <<<"$list" || complain "the package lacks $file"
    done
    [[ $(dpkg-deb -f "$1" Depends) == *libmicrohttpd* ]] || complain "the package does not depend on its libraries"
}

# Runs as root of the copy.
live() {
    local config=/etc/prenorm/prenormd.json
    dpkg -i /package/old.deb
    id prenorm >/dev/null || complain "no user prenorm"
    [[ -n $(prenormd generate --temperature 0 --max-tokens 4 "Once upon a time") ]] || complain "it generates nothing"
    prenormd serve --config $config --port 0 2>/tmp/log &
    for _ in $(seq 600); do
        if grep -q "ready: tales" /tmp/log; then break; fi
        sleep 0.1
    done
    grep -q "ready: tales" /tmp/log || complain "it does not serve: $(cat /tmp/log)"
    kill -HUP $!
    kill $!
    wait $! || complain "it does not end well: $(cat /tmp/log)"
    echo '{"port": 8099}' >$config
    dpkg -i --force-confold /package/new.deb
    [[ $(dpkg-query -W -f '${Version}' prenorm) == 99.0.0 ]] || complain "not upgraded"
    grep -q 8099 $config || complain "the upgrade took the configuration"
    dpkg -i --force-confold /package/old.deb
    [[ $(dpkg-query -W -f '${Version}' prenorm) != 99.0.0 ]] || complain "not taken back to the older version"
    grep -q 8099 $config || complain "the way back took the configuration"
    [[ -n $(prenormd generate --temperature 0 --max-tokens 4 "Once upon a time") ]] || complain "it generates nothing after the way back"
    dpkg -r prenorm
    [[ ! -e /usr/bin/prenormd && -e $config ]] || complain "removing leaves the program, or takes the configuration"
    dpkg -P prenorm
    [[ ! -e /etc/prenorm && ! -e /usr/share/prenorm ]] || complain "purging leaves files"
}

# In namespaces of our own: a copy of / that keeps what is written in memory.
in_copy() {
    # shellcheck disable=SC2016 # for the other shell
    unshare -m bash -ec '
        mount -t tmpfs tmpfs "$1/copy"
        mkdir "$1"/copy/{upper,inner,root}
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/copy/upper,workdir=$1/copy/inner" "$1/copy/root"
        mount --bind /proc "$1/copy/root/proc"
        mount --bind /dev "$1/copy/root/dev"
        mkdir -p "$1/copy/root/package"
        cp "$1"/package/* "$1/copy/root/package"
        exec chroot "$1/copy/root" bash -euo pipefail -c "$2"' - "$work" "$1"
}

command -v dpkg-shlibdeps >/dev/null || { echo "dpkg-shlibdeps is not installed (Debian package dpkg-dev)"; exit 77; }
version=$(sed -nE 's/^set\(CPACK_PACKAGE_VERSION "(.*)"\)$/\1/p' "$build/CPackConfig.cmake")
package=$(make "$version")
check_content "$package"
if command -v lintian >/dev/null; then
    lintian --fail-on error "$package" || complain "lintian finds errors"
else
    echo "lintian is not installed: not asked"
fi
mkdir "$work/copy" "$work/package"
cp "$package" "$work/package/old.deb"
cp "$(make 99.0.0)" "$work/package/new.deb"
in_copy true 2>/dev/null || { echo "no copy of the system can be made here (root, mount namespaces, overlay): not installed"; exit 77; }
in_copy "$(declare -f complain live); live" || exit 1
echo "package: ok"
