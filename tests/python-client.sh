#!/usr/bin/env bash
# Starts the suite on an empty data folder and a free port, and lets the stock Python client of
# tests/python/client.py do a newcomer's round. Argument: the `jinke` binary.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
jinke=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/jinke-python.XXXXXX")
pid=
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT
port=$((20000 + RANDOM % 20000))
"$jinke" run --data-dir "$dir/data" --listen "127.0.0.1:$port" --set metrics.listen=127.0.0.1:0 >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 1 150); do
  if [ -f "$dir/data/credentials/admin.toml" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
  sleep 0.2
done
if ! "$root/tests/with-python.sh" python "$root/tests/python/client.py" "127.0.0.1:$port" "$dir/data/credentials/admin.toml"; then
  tail -50 "$dir/log" >&2
  exit 1
fi
