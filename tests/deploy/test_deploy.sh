#!/usr/bin/env bash
# What the files of deploy/ say about the daemon must be so: every metric that rules and dashboard use is exported, every
# option that they set exists. Their own tools look at them too, where these are installed. Usage: test_deploy.sh PROGRAM
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=$1
failures=0

complain() {
    echo "$*"
    failures=$((failures + 1))
}

check_metrics() {
    local name base
    # Rules that are recorded have a second colon or begin with prenorm: and are not metrics of the daemon.
    for name in $(grep -ohE '\b(prenorm_[a-z0-9_]+|vllm:[a-z0-9_]+)' "$root/deploy/prometheus/rules.yml" \
        "$root/deploy/compose/grafana/dashboards/prenorm.json" | sort -u); do
        base=$(sed -E 's/_(bucket|sum|count)$//' <<<"$name")
        grep -qE "\"($name|$base)[\"{]" "$root"/server/metrics/*.c "$root"/server/*/*.def || complain "no such metric: $name"
    done
}

check_options() {
    local file variable known
    known=$("$program" serve --print-config | sed -nE 's/^ *"([a-z-]+)":.*/\1/p' | tr 'a-z-' 'A-Z_')
    for file in Dockerfile deploy/compose/compose.yml deploy/kubernetes/base/options.env deploy/README.md deploy/quickstart.sh \
        docs/operations.md docs/upgrade.md; do
        for variable in $(grep -ohE '\bPRENORM_[A-Z_]+' "$root/$file" | sort -u); do
            grep -qx "${variable#PRENORM_}" <<<"$known"$'\n'CONFIG || [[ $variable == PRENORM_TESTS ]] ||
                complain "$file: no such option: $variable"
        done
    done
}

# Whatever ends the daemon must give it longer than the drain it is configured for. Kubernetes: test_kubernetes.py.
check_patience() {
    local drain
    drain=$("$program" serve --print-config | sed -nE 's/.*"drain-seconds": ([0-9]+).*/\1/p')
    drain=$((drain + 5)) # lame-duck-seconds of the manifests
    [[ $(sed -nE 's/^TimeoutStopSec=([0-9]+)$/\1/p' "$root/deploy/systemd/prenormd.service") -gt $drain ]] ||
        complain "the systemd unit kills before $drain s of draining are over"
    [[ $(sed -nE 's/.*stop_grace_period: ([0-9]+)s.*/\1/p' "$root/deploy/compose/compose.yml") -gt $drain ]] ||
        complain "compose kills before $drain s of draining are over"
}

# What is installed must be in the image's build: copied by the Dockerfile, and let through by .dockerignore.
check_image() {
    local path copied let_through
    mapfile -t copied < <(sed -nE 's/^COPY ([a-z].*) [^ ]+$/\1/p' "$root/Dockerfile")
    mapfile -t let_through < <(sed -n 's/^!//p' "$root/.dockerignore")
    for path in $(grep -ohE '(docs|deploy)/[a-z0-9_./-]+' "$root/cmake/install.cmake" | sort -u); do
        is_below "$path" "${copied[@]}" || complain "the Dockerfile does not copy $path"
        is_below "$path" "${let_through[@]}" || complain ".dockerignore keeps $path back"
    done
}

# is_below PATH FOLDER...
is_below() {
    local folder
    for folder in "${@:2}"; do
        [[ $1/ != "$folder"/* ]] || return 0
    done
    return 1
}

# Each alert is tested: there is a moment at which it fires. And the page for operators says what to do then.
check_alerts() {
    local alert
    for alert in $(sed -nE 's/^ *- alert: (\w+)$/\1/p' "$root/deploy/prometheus/rules.yml"); do
        grep -A1 "alertname: $alert\$" "$root/deploy/prometheus/rules.test.yml" | grep -q 'exp_alerts:$' ||
            complain "no rule test lets $alert fire"
        grep -q "^| .*\`$alert\`.* | " "$root/docs/operations.md" || complain "docs/operations.md does not say what to do on $alert"
    done
}

# One version: that of CMakeLists.txt is what the program, the package and the archive say.
check_version() {
    local version
    version=$(sed -nE 's/^project\(prenorm VERSION ([0-9.]+) .*/\1/p' "$root/CMakeLists.txt")
    [[ $("$program" --version) == *"$version"* ]] || complain "$program --version does not say $version"
    grep -qE "^    newTag: $version\$" "$root/deploy/kubernetes/base/kustomization.yaml" ||
        complain "deploy/kubernetes/base/kustomization.yaml has another version than $version"
    grep -qF "## [$version]" "$root/CHANGELOG.md" || complain "CHANGELOG.md says nothing of $version"
}

missing=()
with_tool() {
    if ! command -v "$1" >/dev/null; then
        [[ " ${missing[*]} " == *" $1 "* ]] || missing+=("$1")
        return
    fi
    "$@" || complain "$1 finds fault"
}

check_metrics
check_options
check_patience
check_image
check_alerts
check_version
cd "$root/deploy/prometheus" || exit 1
with_tool promtool check rules rules.yml
with_tool promtool check config prometheus.yml
with_tool promtool test rules rules.test.yml
with_tool haproxy -c -q -f "$root/deploy/haproxy/haproxy.cfg"
cd "$root" || exit 1
with_tool shellcheck -x -S warning deploy/quickstart.sh tests/run.sh tests/install/test_install.sh tests/deploy/test_deploy.sh \
    tests/deploy/test_systemd.sh
((failures == 0)) && echo "deployment files: ok${missing[*]:+ (not run, not installed: ${missing[*]})}"
