#!/usr/bin/env bash
# Installs a cargo subcommand into .spike/cargo, where neither that folder nor the search path has it; prints the folder of its binary.
#
# usage: install-cargo-tool.sh cargo-deny 0.19.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tool=$1 version=$2
root="$PWD/.spike/cargo"

if path="$(PATH="$root/bin:$PATH" command -v "$tool")"; then
    dirname "$path"
    exit 0
fi
echo "installing $tool $version with cargo" >&2
# Its build shares nothing with ours, and is not kept.
env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$root" --version "=$version" "$tool" >&2
echo "$root/bin"
