# Sourced by scripts/cluster, scripts/test and others: a browser, and the parts of the test cluster, installed without
# being started.
# shellcheck shell=bash

policy=/usr/sbin/policy-rc.d

# Print the packages that a suite needs.
listed_packages() { sed -n 's/^\([a-z][^ ]*\).*/\1/p' "$1/debian-packages.txt"; }

# Install what tests/browser needs; fail, having said nothing, where that cannot be done.
install_browser_packages() {
    local packages
    mapfile -t packages < <(listed_packages tests/browser)
    install_debian_packages "${packages[@]}"
}

# Install what tests/cluster needs; fail, having said nothing, where that cannot be done.
install_cluster_packages() {
    local packages missing made=
    mapfile -t packages < <(listed_packages tests/cluster)
    on_debian && [ "$(id -u)" -eq 0 ] || return 1
    missing=$(missing_debian_packages "${packages[@]}")
    [ -n "$missing" ] || return 0
    # The tests start their own servers in their own directories: Debian's stay off, now and after the next boot.
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1; }
    # shellcheck disable=SC2086 # a list of plain words
    install_debian_packages $missing
    local status=$?
    [ -z "$made" ] || rm -f "$policy"
    keep_services_off "$missing"
    return "$status"
}

# Package and service have the same name, for all but the modules and clients, which have no service.
keep_services_off() {
    local name
    command -v systemctl >/dev/null || return 0
    for name in $1; do
        systemctl disable "$name" >/dev/null 2>&1 || true
    done
}
