#!/usr/bin/env bash
# The units of deploy/systemd under a real systemd: it is process 1 of namespaces of its own (processes, mounts, network, cgroups), in
# a copy of this system that takes no file back, where this build is installed. Usage: test_systemd.sh BUILD_FOLDER. Exit code 77
# where that cannot be had (systemd, root, namespaces, overlay, cgroup2).
set -euo pipefail
build=$(realpath "$1")
limit_seconds=120
unit=prenormd.service

complain() {
    echo "$*"
    exit 1
}

# ---- what process 1 of the copy runs, as a service ----

# get PATH: the status of an answer, "" where there is none.
get() {
    local line=""
    {
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
        read -r -t 60 line <&3
    } 2>/dev/null 3<>/dev/tcp/127.0.0.1/8080 || true
    cut -d ' ' -f 2 <<<"$line"
}

# property NAME: of the unit.
property() { systemctl show --property "$1" --value $unit; }

# wait_for SECONDS COMMAND...
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

says() { journalctl --quiet --no-pager -u $unit | grep -q -- "$1"; }

# Type=notify: who has started has loaded its model, runs as its user, and says so.
check_start() {
    systemctl start $unit || complain "the unit does not start"
    [[ $(get /ready) == 200 ]] || complain "started, but not ready"
    [[ $(ps -o user= -p "$(property MainPID)") == prenorm ]] || complain "it does not run as prenorm"
    [[ $(property StatusText) == "Serving tales on "* ]] || complain "its status is '$(property StatusText)'"
    wait_for 30 says "ready: tales" || complain "the journal does not have its lines"
}

check_reload() {
    local process
    process=$(property MainPID)
    systemctl reload $unit || complain "reloading fails"
    wait_for 30 says "SIGHUP: keys and certificates have been read again" || complain "it does not reload"
    wait_for 30 systemctl --quiet is-active $unit || complain "it does not come back from reloading"
    [[ $(property MainPID) == "$process" && $(get /ready) == 200 ]] || complain "reloading has ended it"
}

check_stop() {
    systemctl stop $unit
    [[ $(property Result) == success ]] || complain "stopping: $(property Result)"
    wait_for 30 says "stopped: drained" || complain "it has not drained"
}

is_another() { [[ $(property MainPID) != 0 && $(property MainPID) != "$1" && $(get /ready) == 200 ]]; }

# A process that stands still is ended and started again.
check_watchdog() {
    local process
    mkdir -p /run/systemd/system/$unit.d
    printf '[Service]\nWatchdogSec=1\n' >/run/systemd/system/$unit.d/watchdog.conf
    systemctl daemon-reload
    systemctl start $unit
    process=$(property MainPID)
    kill -STOP "$process"
    wait_for 60 is_another "$process" || complain "the watchdog does not restart it"
    [[ $(property NRestarts) == 1 ]] || complain "restarted $(property NRestarts) times"
    wait_for 30 says "atchdog timeout" || complain "it was not the watchdog"
    systemctl stop $unit
    rm /run/systemd/system/$unit.d/watchdog.conf
    systemctl daemon-reload
}

# ask_until FILE: one connection after another until the file is there; what was not answered goes to FILE.lost.
ask_until() {
    local status count=0
    until [[ -e $1 ]]; do
        status=$(get /health)
        [[ $status == 200 ]] || echo "no answer: '$status'" >>"$1.lost"
        count=$((count + 1))
        echo $count >"$1.count"
    done
}

has_asked() { (($(cat /tmp/asked.count 2>/dev/null || echo 0) >= $1)); }

# The first connection starts it, and a restart loses none.
check_socket() {
    local count client
    systemctl start prenormd.socket || complain "the socket does not start"
    systemctl --quiet is-active $unit && complain "it runs before anybody has asked"
    [[ $(get /ready) == 200 ]] || complain "the socket starts nothing"
    ask_until /tmp/asked &
    client=$!
    wait_for 30 has_asked 5 || complain "the client does not get on"
    systemctl restart $unit || complain "it does not restart"
    count=$(cat /tmp/asked.count)
    wait_for 30 has_asked $((count + 5)) || complain "nothing is answered after a restart"
    touch /tmp/asked
    wait $client
    [[ ! -e /tmp/asked.lost ]] || complain "a restart behind the socket loses connections: $(sort /tmp/asked.lost | uniq -c)"
    systemctl stop prenormd.socket $unit
}

has_failed() { [[ $(property ActiveState) == failed ]]; }

# Another start would not help.
check_bad_configuration() {
    echo '{"weights": "none"}' >/etc/prenorm/prenormd.json
    if systemctl start $unit 2>/dev/null; then complain "it starts with a wrong configuration"; fi
    wait_for 60 has_failed || complain "a wrong configuration: $(property ActiveState)"
    [[ $(property ExecMainStatus) == 2 && $(property NRestarts) == 0 ]] ||
        complain "a wrong configuration: status $(property ExecMainStatus), $(property NRestarts) restarts"
}

# What it says is kept, and process 1 ends with its status.
leave() {
    local status=$?
    ((status == 0)) || journalctl --quiet --no-pager | tail -n 40
    systemctl exit $status
}

inner() {
    trap leave EXIT
    check_start
    check_reload
    check_stop
    check_watchdog
    check_socket
    check_bad_configuration
    echo "systemd $(systemctl --version | sed -n '1s/^systemd \([^ ]*\).*/\1/p'): ok"
}

# ---- the copy ----

# Runs in a mount namespace of its own: a copy of / in memory, and a cgroup for what runs there.
boot() {
    local work=$1 root=$1/copy/root group
    mount -t tmpfs tmpfs "$work/copy"
    mkdir "$work"/copy/{upper,inner,root,cgroup}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/copy/upper,workdir=$work/copy/inner" "$root"
    mount -t cgroup2 cgroup2 "$work/copy/cgroup"
    group=$work/copy/cgroup/prenorm-systemd-$$
    mkdir "$group"
    echo $BASHPID >"$group/cgroup.procs"
    DESTDIR=$root cmake --install "$build" --prefix /usr >/dev/null
    fill "$root"
    # The network is new as well, so that the port of the units is free.
    unshare -Cpmnui --fork --kill-child bash -ec '
        cd "$1"
        mount -t proc proc proc
        mount --bind proc/sys proc/sys
        mount -o remount,bind,ro proc/sys
        mount -t sysfs -o ro sysfs sys
        mount -t cgroup2 cgroup2 sys/fs/cgroup
        mount --rbind /dev dev
        mount -t tmpfs tmpfs run
        mount -t tmpfs tmpfs tmp
        mkdir run/old
        pivot_root . run/old
        umount -l run/old
        exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system \
            --unit=prenorm-check.service --log-target=journal' - "$root" || status=$?
    cat "$root/result" || true
    rmdir_all "$work/copy/cgroup" "$group"
    return "${status:-0}"
}

# Only what is tested and what it needs runs there, and nothing that sets up a machine: the kernel is this system's.
fill() {
    local root=$1 name
    : >"$root/etc/fstab"
    for name in systemd-udevd systemd-udev-trigger systemd-hwdb-update systemd-timesyncd systemd-logind systemd-networkd \
        systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysctl systemd-modules-load systemd-random-seed \
        systemd-binfmt systemd-update-utmp systemd-journal-flush apparmor keyboard-setup console-setup networking; do
        ln -sf /dev/null "$root/etc/systemd/system/$name.service"
    done
    ln -sf /dev/null "$root/etc/systemd/system/proc-sys-fs-binfmt_misc.automount"
    mkdir -p "$root/etc/prenorm"
    echo '{"model": "/usr/share/prenorm/models/tales"}' >"$root/etc/prenorm/prenormd.json"
    chroot "$root" systemd-sysusers prenorm.conf
    cp "${BASH_SOURCE[0]}" "$root/test_systemd.sh"
    cat >"$root/etc/systemd/system/prenorm-check.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
Environment=PRENORM_INSIDE=1
ExecStart=/bin/bash /test_systemd.sh /
StandardOutput=file:/result
StandardError=inherit
UNIT
}

# rmdir_all CGROUP2 GROUP: leaves the group, and removes it with those below.
rmdir_all() {
    echo $BASHPID >"$1/cgroup.procs"
    find "$2" -depth -type d -exec rmdir {} + || true
}

not_here() {
    echo "$*"
    exit 77
}

outer() {
    local work status=0
    [[ -x /lib/systemd/systemd ]] || not_here "systemd is not installed"
    ((EUID == 0)) || not_here "only root can start another systemd"
    work=$(mktemp -d "${TMPDIR:-/tmp}/prenorm-systemd-XXXXXX")
    mkdir "$work/copy"
    unshare -Cpmnui --fork true 2>/dev/null || not_here "no namespaces can be made here"
    boot_limited "$work" || status=$?
    rm -rf "$work"
    exit $status
}

boot_limited() {
    timeout -k 5 $limit_seconds unshare -m bash -euo pipefail -c "source '${BASH_SOURCE[0]}' '$build' && boot '$1'"
}

if [[ -n ${PRENORM_INSIDE:-} ]]; then inner; elif [[ ${BASH_SOURCE[0]} == "$0" ]]; then outer; fi
