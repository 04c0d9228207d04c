#!/usr/bin/env bash
# Starts the suite on an empty data folder, fills it with a few samples, and asks the same over
# gRPC, curl and fetch (tests/python/gateway.py); then lets schemathesis make up requests from the
# OpenAPI document for a while: no 5xx, no answer the document does not describe.
#
#   gateway-clients.sh JINKE [EXAMPLES]     EXAMPLES per operation: 1 unless told
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
jinke=$1
examples=${2:-1}
dir=$(mktemp -d "${TMPDIR:-/tmp}/jinke-gateway.XXXXXX")
pid=
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap cleanup EXIT
port=$((20000 + RANDOM % 20000))
http=$((port + 1))
"$jinke" run --samples --sample-companies 20 --data-dir "$dir/data" --listen "127.0.0.1:$port" \
  --set "gateway.listen=127.0.0.1:$http" --set metrics.listen=127.0.0.1:0 \
  --set gateway.rate.caller_per_second=0 --set gateway.rate.address_per_second=0 \
  --set telemetry.level=error >"$dir/log" 2>&1 &
pid=$!
for _ in $(seq 1 300); do
  grep -q "Ctrl-C" "$dir/log" && break
  kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; exit 1; }
  sleep 0.2
done
credentials="$dir/data/credentials/admin.toml"
failed() {
  tail -50 "$dir/log" >&2
  exit 1
}
"$root/tests/with-python.sh" python "$root/tests/python/gateway.py" \
  "127.0.0.1:$port" "http://127.0.0.1:$http" "$credentials" || failed
key=$(sed -n 's/^key = "\(.*\)"$/\1/p' "$credentials")
token=$(curl -fsS "http://127.0.0.1:$http/v1/tokens:loginWithKey" -H 'content-type: application/json' \
  -d "{\"key\":\"$key\"}" | sed -n 's/.*"accessToken":"\([^"]*\)".*/\1/p')
JINKE_PYTHON=schemathesis "$root/tests/with-python.sh" schemathesis run "http://127.0.0.1:$http/openapi.json" \
  --header "authorization: Bearer $token" --phases fuzzing --no-shrink \
  --exclude-path-regex ':watch|tokens:revoke' \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
  --max-examples "$examples" --seed "${SEED:-1}" --workers 2 --generation-database none \
  --request-timeout 20 >"$dir/schemathesis" 2>&1 || { grep -vE '^  - (GET|POST|PATCH|DELETE) ' "$dir/schemathesis"; failed; }
tail -3 "$dir/schemathesis"
