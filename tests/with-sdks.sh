#!/usr/bin/env bash
# Runs a command with Pythons that have the vendors' own libraries from PyPI, for the tests in which
# they are clients of our simulators or of the rigs. Each is a virtual environment below target/,
# because some libraries do not bear each other:
#   JINKE_SDK_PYTHON       Kingdee and OData      JINKE_WECHATPY_PYTHON  WeCom
#   JINKE_DINGTALK_PYTHON  DingTalk
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
target="${CARGO_TARGET_DIR:-$root/target}"
make_venv() { # folder, libraries
  local venv="$target/$1" wanted="$2"
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
}
make_venv python-sdks "kingdee-cdp-webapi-sdk==8.2.0 pyodata==1.12.1 requests"
make_venv python-wechatpy "wechatpy==2.0.0a26 cryptography"
make_venv python-dingtalk "alibabacloud-dingtalk==2.2.65 dingtalk-stream==0.24.3 pycryptodome"
JINKE_SDK_PYTHON="$target/python-sdks/bin/python" \
  JINKE_WECHATPY_PYTHON="$target/python-wechatpy/bin/python" \
  JINKE_DINGTALK_PYTHON="$target/python-dingtalk/bin/python" exec "$@"
