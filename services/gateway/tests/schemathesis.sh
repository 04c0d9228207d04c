#!/bin/sh
# Throws what schemathesis makes up from the OpenAPI document at the gateway, over services that
# answer with made-up messages (examples/rehearse.rs). Fails on a 5xx, an answer the document does
# not describe, or an undocumented code or type. Needs `pip install schemathesis` on the PATH, or
# SCHEMATHESIS with its path. Not part of `make test`.
set -eu
cd "$(dirname "$0")/../../.."
address=${ADDRESS:-127.0.0.1:7481}
cargo build -q -p jinke-gateway --example rehearse
"${CARGO_TARGET_DIR:-target}/debug/examples/rehearse" "$address" &
server=$!
trap 'kill $server 2>/dev/null' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do
    curl -fs "http://$address/healthz" >/dev/null && break
    sleep 0.5
done
"${SCHEMATHESIS:-schemathesis}" run "http://$address/openapi.json" \
    --header 'authorization: Bearer rehearsal' \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --max-examples "${EXAMPLES:-30}" --seed "${SEED:-1}" --workers 2 --generation-database none "$@"
