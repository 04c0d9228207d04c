#!/usr/bin/env bash
# Runs a command with JINKE_SDK_PYTHON set to a Python of its own (a virtual environment under
# target/python-sdks) that has the vendors' own libraries from PyPI, for the tests in which they
# are clients of our simulators or of the rigs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv="${CARGO_TARGET_DIR:-$root/target}/python-sdks"
wanted="kingdee-cdp-webapi-sdk==8.2.0 pyodata==1.12.1 requests"
if ! [ -f "$venv/ready" ] || [ "$(cat "$venv/ready")" != "$wanted" ]; then
  python3 -c 'import venv, ensurepip' 2>/dev/null || {
    echo "make: Python with venv is needed for the vendors' libraries (Debian: apt-get install python3-venv)" >&2
    exit 1
  }
  rm -rf "$venv"
  python3 -m venv "$venv"
  # shellcheck disable=SC2086
  "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted
  echo "$wanted" > "$venv/ready"
fi
JINKE_SDK_PYTHON="$venv/bin/python" exec "$@"
