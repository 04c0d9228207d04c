#!/usr/bin/env bash
# Starts the suite on the sample data and lets pandas compute RFM and grades from the sample files
# themselves. Argument: the `jinke` binary.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
jinke=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/jinke-grade.XXXXXX")
pid=
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT
port=$((20000 + RANDOM % 20000))
"$jinke" run --samples --data-dir "$dir/data" --listen "127.0.0.1:$port" --set metrics.listen=127.0.0.1:0 --set gateway.listen=127.0.0.1:0 >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 1 600); do
  if grep -q "customers search" "$dir/log"; then break; fi
  kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
  sleep 0.2
done
if ! JINKE_PYTHON=analysis "$root/tests/with-python.sh" python "$root/tests/python/grade_rfm.py" \
  "127.0.0.1:$port" "$dir/data/credentials/admin.toml" "$dir/data/imports/samples"; then
  tail -50 "$dir/log" >&2
  exit 1
fi
