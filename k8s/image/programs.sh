#!/bin/sh
# The programs of the image, one a line; with --flags as cargo build takes them.
set -eu
for program in jinke jinke-identity jinke-customer jinke-runner jinke-pipeline jinke-reporting jinke-gateway; do
  if [ "${1:-}" = --flags ]; then printf -- '--bin %s ' "$program"; else echo "$program"; fi
done
