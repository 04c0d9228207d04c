#!/usr/bin/env bash
# Runs a command with a Python of its own (a virtual environment under target/python) that has
# grpcio, its reflection and its status from PyPI; with JINKE_PYTHON=schemathesis another one that
# has schemathesis, or with JINKE_PYTHON=analysis one that has pandas and DuckDB as well. Python is installed with the system's package manager when it is missing and
# we may.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
case "${JINKE_PYTHON:-grpc}" in
  grpc)
    venv="${CARGO_TARGET_DIR:-$root/target}/python"
    packages=(grpcio grpcio-reflection grpcio-status)
    imports='import grpc, grpc_reflection, grpc_status, tomllib'
    ;;
  schemathesis)
    venv="${CARGO_TARGET_DIR:-$root/target}/python-schemathesis"
    packages=("schemathesis>=4.10,<5")
    imports='import schemathesis'
    ;;
  analysis)
    venv="${CARGO_TARGET_DIR:-$root/target}/python-analysis"
    packages=(grpcio grpcio-reflection grpcio-status pandas duckdb)
    imports='import grpc, grpc_reflection, grpc_status, tomllib, pandas, duckdb'
    ;;
  *)
    echo "JINKE_PYTHON is grpc, schemathesis or analysis" >&2
    exit 1
    ;;
esac

as_admin() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c "$imports" 2>/dev/null; then
  if ! python3 -c 'import venv, ensurepip, tomllib' 2>/dev/null; then
    if command -v apt-get >/dev/null; then
      as_admin env DEBIAN_FRONTEND=noninteractive apt-get update -qq
      as_admin env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv >/dev/null
    elif command -v dnf >/dev/null; then as_admin dnf install -y -q python3
    elif command -v apk >/dev/null; then as_admin apk add -q python3
    elif command -v brew >/dev/null; then brew install -q python3
    fi
  fi
  python3 -c 'import venv, ensurepip, tomllib' 2>/dev/null || {
    echo "make: Python 3.11 or newer with venv is needed for the client tests (Debian: apt-get install python3-venv)" >&2
    exit 1
  }
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
fi
PATH="$venv/bin:$PATH" exec "$@"
