# Sourced by scripts/setup: a Python that is new enough, and the packages of the operating system.
# shellcheck shell=bash

minimum='3.11'

# Whether "$1" runs and is new enough. A version manager's shim may exist and not run.
python_is_usable() {
    "$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$minimum'.split('.'))))" 2>/dev/null
}

# Print the first Python that will do; $PYTHON, if set, is asked first.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
        if python_is_usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

on_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

# Print the prefix that makes a command run as root, or fail.
root_prefix() {
    if [ "$(id -u)" -eq 0 ]; then
        echo env
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo 'sudo -n env'
    else
        return 1
    fi
}

# Print those of the named Debian packages that are not installed, on one line.
missing_debian_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
    done
}

# Let apt know which packages there are; on a new machine it does not.
update_debian_lists() {
    local prefix
    prefix=$(root_prefix) && $prefix apt-get update -qq >/dev/null
}

# Install the named Debian packages that are missing; fail, having said nothing, where that cannot be done.
install_debian_packages() {
    local missing prefix
    on_debian || return 1
    missing=$(missing_debian_packages "$@")
    [ -n "$missing" ] || return 0
    prefix=$(root_prefix) || return 1
    say "Installing Debian packages: $missing"
    # shellcheck disable=SC2086 # both are lists of plain words
    update_debian_lists &&
        $prefix DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
