#!/usr/bin/env bash
# Installs the servers the native stack runs (Debian and Ubuntu), where they are missing.
#
# The packages would start services of their own on the default ports; the native stack starts private ones, so the
# services are kept from starting, by the means Debian has for it (policy-rc.d).
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin"
POLICY=/usr/sbin/policy-rc.d

missing_packages() {
    command -v redis-server >/dev/null || echo redis-server
    command -v mariadbd >/dev/null && command -v mariadb >/dev/null && command -v mariadb-install-db >/dev/null \
        || echo mariadb-server
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v epmd >/dev/null || echo rabbitmq-server
}

cannot() {
    echo "missing: ${missing[*]}, and $1." >&2
    echo "Install them yourself, or run the servers in containers: 'docker compose up -d --wait redis rabbitmq mysql'" >&2
    echo "and take SPIKE_REDIS_URL, SPIKE_AMQP_URL and SPIKE_DATABASE_URL from .env.example." >&2
    exit 1
}

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
command -v apt-get >/dev/null || cannot "this system has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || cannot "installing needs root (no sudo without a password)"
    as_root=(sudo -n)
fi

echo "installing ${missing[*]} with apt-get"
if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$POLICY" >/dev/null
    "${as_root[@]}" chmod 755 "$POLICY"
    trap '"${as_root[@]}" rm -f "$POLICY"' EXIT
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
"${apt[@]}" update || cannot "'apt-get update' failed"
"${apt[@]}" install --no-install-recommends "${missing[@]}" || cannot "'apt-get install' failed"

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -ne 0 ]; then
    cannot "apt-get installed the packages without their programs"
fi
