# Sourced by the other scripts: the project's directory, its virtual environment and how to stop with one message.
# shellcheck shell=bash
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
python=$venv/bin/python

# A module system or a user's pip.conf must not leak packages into the virtual environment, nor install outside it.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}
