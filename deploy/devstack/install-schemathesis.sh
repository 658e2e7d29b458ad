#!/usr/bin/env bash
# Installs Schemathesis, which asks the API whatever its OpenAPI document allows, into .spike/schemathesis, where it is
# missing. The version is pinned: a newer one may know checks that nobody has looked at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VERSION=4.32.5
venv="$PWD/.spike/schemathesis"

if "$venv/bin/st" --version 2>/dev/null | grep -q "$VERSION"; then
    exit 0
fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    if ! command -v apt-get >/dev/null; then
        echo "missing: python3 with venv, and this system has no apt-get. Install them yourself." >&2
        exit 1
    fi
    echo "installing python3-venv with apt-get"
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    "${apt[@]}" update && "${apt[@]}" install --no-install-recommends python3 python3-venv
fi
rm -rf "$venv"
python3 -m venv "$venv"
echo "installing schemathesis $VERSION with pip"
"$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
"$venv/bin/st" --version
