#!/usr/bin/env bash
# The connectors against real servers and the vendors' own libraries. JINKE_RIGS is the folder with
# the rigs, JINKE_TEST_POSTGRES a server (tests/with-postgres.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f "$JINKE_RIGS/tryton.sh" ] || JINKE_RIGS="$JINKE_RIGS/rigs"
JINKE_RIGS="$(cd "$JINKE_RIGS" && pwd)"
export JINKE_RIGS
cargo test -p jinke-tryton --features rigs --test rigs
cargo test -p jinke-runner --features rigs --test service a_real_tryton
tests/with-sdks.sh cargo test -p jinke-runner --features rigs --test service the_sdks_call
cargo test -p jinke-suite --features rigs --test cli two_real_servers
for connector in wecom dingtalk kingdee sap; do
  tests/with-sdks.sh cargo test -p "jinke-$connector" --features rigs --test rigs
done
