#!/usr/bin/env bash
# Starts the suite on an empty data folder, fills it with a few samples, and asks the same over
# gRPC, curl and fetch (tests/python/gateway.py); then lets schemathesis make up requests from the
# OpenAPI document for a while: no 5xx, no answer the document does not describe. Event streams,
# which end after a second here, have a pass of their own, and so has the call that ends a session.
#
#   gateway-clients.sh JINKE [EXAMPLES]     EXAMPLES per operation: 1 unless told; of streams 25 at most
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
  --set gateway.stream_seconds=1 --set identity.tokens.access_seconds=7200 \
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
# A token of a session of its own.
login() {
  curl -fsS "http://127.0.0.1:$http/v1/tokens:loginWithKey" -H 'content-type: application/json' \
    -d "{\"key\":\"$key\"}" | sed -n 's/.*"accessToken":"\([^"]*\)".*/\1/p'
}
# fuzz WHAT EXAMPLES [ARGUMENTS]: one pass; the last lines tell how many operations it tried.
fuzz() {
  local what=$1 examples=$2
  shift 2
  JINKE_PYTHON=schemathesis "$root/tests/with-python.sh" schemathesis run "http://127.0.0.1:$http/openapi.json" \
    --header "authorization: Bearer $(login)" --phases fuzzing --no-shrink "$@" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --max-examples "$examples" --seed "${SEED:-1}" --workers 2 --generation-database none \
    --request-timeout 20 >"$dir/schemathesis" 2>&1 ||
    { grep -vE '^  - (GET|POST|PATCH|DELETE) ' "$dir/schemathesis"; failed; }
  kill -0 "$pid" || failed
  echo "schemathesis, $what: $(grep -E 'Selected:|Operations: .*selected' "$dir/schemathesis" | head -1 | xargs) $(tail -2 "$dir/schemathesis" | xargs)"
}
fuzz calls "$examples" --exclude-path-regex ':watch$|tokens:revoke'
fuzz streams $((examples < 25 ? examples : 25)) --include-path-regex ':watch$'
fuzz "the end of a session" "$examples" --include-path-regex 'tokens:revoke'
