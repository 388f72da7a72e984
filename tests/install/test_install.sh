#!/usr/bin/env bash
# What `cmake --install` leaves, and that it works wherever the tree is moved to. Usage: test_install.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/prenorm-test-XXXXXX")
trap 'rm -rf "$work"' EXIT

expect_file() {
    [[ -f $1 ]] || { echo "not installed: $1"; exit 1; }
}

# Under a prefix, in a folder with a space; then moved.
cmake --install "$build" --prefix "$work/a prefix"
expect_file "$work/a prefix/etc/prenorm/prenormd.json"
expect_file "$work/a prefix/share/prenorm/models/tales/model.safetensors"
expect_file "$work/a prefix/share/prenorm/models/tales/README.md"
expect_file "$work/a prefix/share/man/man1/prenormd.1.gz"
expect_file "$work/a prefix/share/man/man5/prenormd.json.5.gz"

# complete_words WORD...: what bash offers for the last one.
complete_words() {
    (
        # shellcheck source=deploy/completion/prenormd
        source "$work/a prefix/share/bash-completion/completions/prenormd"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _prenormd
        echo "${COMPREPLY[*]}"
    )
}

# expect_words EXPECTED WORD...
expect_words() {
    local found
    found=$(complete_words "${@:2}")
    [[ $found == "$1" ]] || { echo "completion of '${*:2}': '$found', expected '$1'"; exit 1; }
}
expect_words serve prenormd se
expect_words "f32 bf16 int8 int4" prenormd serve --weights ""
expect_words "int8 int4" prenormd serve --weights = in
expect_words convert prenormd help con
expect_words "--model --model-name" prenormd serve --model
expect_words "" prenormd serve --port ""
mv "$work/a prefix" "$work/moved"
text=$("$work/moved/bin/prenormd" generate --temperature 0 --max-tokens 4 "Once upon a time")
[[ -n $text ]] || { echo "the installed program finds no model"; exit 1; }
"$work/moved/bin/prenormd" serve --config "$work/moved/etc/prenorm/prenormd.json" --print-config >/dev/null

# An edited configuration survives a second installation.
mv "$work/moved" "$work/a prefix"
echo '{"port": 1}' >"$work/a prefix/etc/prenorm/prenormd.json"
cmake --install "$build" --prefix "$work/a prefix" >/dev/null
grep -q '"port": 1}' "$work/a prefix/etc/prenorm/prenormd.json" || { echo "the configuration was overwritten"; exit 1; }

# As a package is built.
DESTDIR=$work/destination cmake --install "$build" --prefix /usr >/dev/null
expect_file "$work/destination/usr/bin/prenormd"
expect_file "$work/destination/usr/share/doc/prenorm/options.md"
expect_file "$work/destination/usr/lib/systemd/system/prenormd.service"
expect_file "$work/destination/usr/lib/systemd/system/prenormd.socket"
expect_file "$work/destination/usr/lib/sysusers.d/prenorm.conf"
expect_file "$work/destination/usr/share/prenorm/monitoring/rules.yml"
expect_file "$work/destination/etc/prenorm/prenormd.json"
cmp "$work/destination/usr/lib/systemd/system/prenormd.service" "$(dirname "$0")/../../deploy/systemd/prenormd.service"
DESTDIR=$work/destination cmake --install "$build" --prefix /usr/local >/dev/null
expect_file "$work/destination/usr/local/etc/prenorm/prenormd.json"
# Elsewhere than in /usr a unit starts the program of its own prefix.
unit=$work/destination/usr/local/lib/systemd/system/prenormd.service
grep -qx "ExecStart=/usr/local/bin/prenormd serve --config /usr/local/etc/prenorm/prenormd.json" "$unit" ||
    { echo "the unit in /usr/local: $(grep ExecStart= "$unit")"; exit 1; }
expect_file "$work/destination$(sed -n 's/^Documentation=file://p' "$unit")"
# systemd takes no relative path.
(cd "$work" && cmake --install "$build" --prefix relative >/dev/null)
unit=$work/relative/lib/systemd/system/prenormd.service
grep -qx "ExecStart=$work/relative/bin/prenormd serve --config $work/relative/etc/prenorm/prenormd.json" "$unit" ||
    { echo "the unit in a relative prefix: $(grep ExecStart= "$unit")"; exit 1; }
# Blanks, and what a unit would read as something else, are quoted; systemd itself says whether the program is found.
odd="$work/with blank 100%"
cmake --install "$build" --prefix "$odd" >/dev/null
unit=$odd/lib/systemd/system/prenormd.service
quoted="$work/with blank 100%%"
grep -qFx "ExecStart=\"$quoted/bin/prenormd\" serve --config \"$quoted/etc/prenorm/prenormd.json\"" "$unit" ||
    { echo "the unit in a prefix with a blank: $(grep ExecStart= "$unit")"; exit 1; }
grep -qFx "Documentation=file:$work/with%%20blank%%20100%%25/share/doc/prenorm/options.md" "$unit" ||
    { echo "the unit in a prefix with a blank: $(grep Documentation= "$unit")"; exit 1; }
if command -v systemd-analyze >/dev/null; then
    said=$(systemd-analyze verify --man=no "$unit" 2>&1) || { echo "systemd: $said"; exit 1; }
    ! grep -F "$unit" <<<"$said" || { echo "systemd does not take all of this unit"; exit 1; }
fi
echo "installation: ok"
