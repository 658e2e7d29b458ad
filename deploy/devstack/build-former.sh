#!/usr/bin/env bash
# Builds the binary of a former version beside this one's, for `make upgrade-test`; prints its path.
#
# Usage: build-former.sh COMMIT. Sources and build are in .spike/former and are kept, so that a second run is quick. Where the
# commit's reserve script is the present one, its copy gets a line of comment, so that the two versions have different scripts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

commit="$(git rev-parse --verify "$1^{commit}")"
former="$PWD/.spike/former"
source="$former/$commit"
if [ ! -e "$source/Cargo.toml" ]; then
    mkdir -p "$source.part"
    git archive "$commit" | tar -x -C "$source.part"
    mv "$source.part" "$source"
fi
if cmp --silent "$source/lua/reserve.lua" lua/reserve.lua; then
    sed -i '2i -- of the former version' "$source/lua/reserve.lua"
fi
# Cargo goes by the time of the files, and takes what another commit's files of the same name have left for fresh.
if [ "$(cat "$former/built" 2>/dev/null)" != "$commit" ]; then
    find "$source" -type f -exec touch {} +
    echo "$commit" >"$former/built"
fi
cd "$source"
BUILD_COMMIT="${commit:0:12}" CARGO_TARGET_DIR="$former/target" cargo build --locked --quiet --package spike --bin spike >&2
echo "$former/target/debug/spike"
