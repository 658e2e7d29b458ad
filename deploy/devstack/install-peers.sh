#!/usr/bin/env bash
# Installs what the gateway is measured against and with (Debian and Ubuntu), where it is missing: nginx with Lua, its
# Redis client and JSON, and wrk. See loadtest/peers/README.md.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
    command -v nginx >/dev/null || echo nginx-light
    command -v wrk >/dev/null || echo wrk
    local package
    for package in libnginx-mod-http-lua lua-nginx-redis lua-cjson; do
        installed "$package" || echo "$package"
    done
}

cannot() {
    echo "missing: ${missing[*]}, and $1." >&2
    echo "Install them yourself; only the peers of loadtest/peers need them." >&2
    exit 1
}

install_missing
