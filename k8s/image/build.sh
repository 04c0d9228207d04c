#!/bin/sh
# Compiles the programs and lays out the root of the image in the folder given.
set -eu
out=${1:?usage: build.sh FOLDER}
cd "$(dirname "$0")/../.."
# shellcheck disable=SC2046 # one flag per program
cargo build --release --locked $(k8s/image/programs.sh --flags)
k8s/image/rootfs.sh "${CARGO_TARGET_DIR:-target}/release" "$out"
