#!/usr/bin/env bash
# Makes a release of what is committed: checks, an archive with its checksum in build/release-VERSION, and an annotated tag
# vVERSION whose text is the version's part of CHANGELOG.md. Nothing is sent anywhere. Usage: release.sh VERSION [--skip-tests]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${1:?usage: release.sh VERSION [--skip-tests]}
folder=$root/build/release-$version
cd "$root"

fail() {
    echo "release: $*" >&2
    exit 1
}

# The part of CHANGELOG.md under the version's heading.
changes() {
    awk -v heading="## [$version]" 'index($0, "## [") == 1 { inside = index($0, heading) == 1; next } inside' CHANGELOG.md
}

[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "'$version' is not MAJOR.MINOR.PATCH"
[[ -z $(git status --porcelain) ]] || fail "there are changes that are not committed"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || fail "the tag v$version is there already"
grep -q "project(prenorm VERSION $version " CMakeLists.txt || fail "CMakeLists.txt has another version"
[[ -n $(changes | tr -d '[:space:]') ]] || fail "CHANGELOG.md says nothing of $version"
[[ ${2:-} == --skip-tests ]] || ./tests/run.sh
mkdir -p "$folder"
git archive --format=tar --prefix="prenorm-$version/" HEAD | gzip -n -9 >"$folder/prenorm-$version.tar.gz"
(cd "$folder" && sha256sum "prenorm-$version.tar.gz" >SHA256SUMS)
changes | git tag -a "v$version" --cleanup=verbatim -F -
echo "tagged v$version; $folder has the archive and its checksum; publish with: git push origin v$version"
