# Sourced by the install scripts: installs Debian packages without letting them start services.
#
# The packages would start services of their own on the default ports; tests and `make up` start private ones, so the
# services are kept from starting, by the means Debian has for it (policy-rc.d).

PATH="$PATH:/usr/sbin:/usr/local/sbin"
POLICY=/usr/sbin/policy-rc.d

# Installs what the function `missing_packages` of the caller prints; calls the caller's `cannot WHY`, which must exit,
# when that cannot be done.
install_missing() {
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -eq 0 ]; then
        return
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
}
