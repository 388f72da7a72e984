#!/usr/bin/env bash
# Installs what is missing (Debian packages), builds, and serves the bundled model on 127.0.0.1:8080 until Ctrl-C.
# Usage: deploy/quickstart.sh [OPTION of prenormd serve]...; PRENORM_PORT=9000 and the like count as well.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release
program=$build/prenormd
# shellcheck source=deploy/packages/install.sh
source "$root/deploy/packages/install.sh"

build_program() {
    local log=$build/quickstart.log
    mkdir -p "$build"
    echo "building in $build, a few minutes the first time; the output is in $log"
    {
        cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DPRENORM_TESTS=OFF &&
            cmake --build "$build" --parallel "$(nproc)" --target prenormd
    } >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        fail "the build failed; all of its output is in $log"
    }
}

# The value in effect of an option: flag, environment, file or default, as the program itself sees it.
option() {
    sed -n 's/^ *"'"$1"'": "\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1/p' <<<"$configuration"
}

# Whether something listens there already. The program would say so too, but only after the lines that follow.
port_in_use() {
    (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

say_what_to_try() {
    local host port url_host scheme=http address=()
    host=$(option host) port=$(option port)
    url_host=$host
    if [[ $host == 0.0.0.0 || $host == :: ]]; then host=127.0.0.1 url_host=127.0.0.1; fi
    [[ $host != *:* ]] || url_host=[$host]
    [[ $(option tls-cert) == null ]] || scheme=https
    if [[ $(option unix-socket) != null ]]; then
        address=(--unix-socket "$(option unix-socket)" http://localhost/v1/completions)
    elif [[ $port == 0 ]]; then
        address=("$scheme://$url_host:PORT/v1/completions")
    elif port_in_use "$host" "$port"; then
        fail "port $port of $host is in use; choose another one: PRENORM_PORT=8081 $0"
    else
        address=("$scheme://$url_host:$port/v1/completions")
    fi
    cat <<TEXT

Once it listens, try in another terminal (Ctrl-C here ends it):

  curl ${address[*]} -H 'Content-Type: application/json' \\
    -d '{"prompt": "Once upon a time", "max_tokens": 64, "temperature": 0.7, "top_k": 40}'

TEXT
}

install_packages build
build_program
configuration=$("$program" serve "$@" --print-config)
if [[ $(option model) == null ]]; then export PRENORM_MODEL=$root/deploy/models/tales; fi
# With --help it is none.
if [[ $configuration == "{"* ]]; then say_what_to_try; fi
exec "$program" serve "$@"
