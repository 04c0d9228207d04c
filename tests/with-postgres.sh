#!/usr/bin/env bash
# Runs a command with JINKE_TEST_POSTGRES pointing at a PostgreSQL server.
#
# A server named in JINKE_TEST_POSTGRES is used as it is. Otherwise a throw-away cluster is made
# in a temporary folder, started on a free port of the loopback interface, and removed at the end.
# PostgreSQL is installed with the system's package manager when it is missing and we may.
#
# JINKE_PG_FSYNC=on keeps fsync on (benchmarks); tests leave it off, because they kill processes,
# not machines.
set -euo pipefail

if [ -n "${JINKE_TEST_POSTGRES:-}" ]; then
  exec "$@"
fi

find_bin() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
    /usr/local/opt/postgresql*/bin /usr/libexec/postgresql* 2>/dev/null | sort -rV); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then echo "$dir"; return; fi
  done
  if command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
    dirname "$(command -v initdb)"
  fi
}

as_admin() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
  echo "PostgreSQL is not here; installing it with the package manager" >&2
  if command -v apt-get >/dev/null; then
    # The package would create and start a cluster of its own, which nobody asked for.
    as_admin mkdir -p /etc/postgresql-common &&
      echo "create_main_cluster = false" | as_admin tee /etc/postgresql-common/createcluster.conf >/dev/null
    as_admin env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
      as_admin env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
  elif command -v dnf >/dev/null; then as_admin dnf install -y -q postgresql-server
  elif command -v apk >/dev/null; then as_admin apk add -q postgresql
  elif command -v brew >/dev/null; then brew install -q postgresql@17
  else return 1
  fi
}

bin=$(find_bin)
if [ -z "$bin" ]; then
  install || true
  bin=$(find_bin)
fi
if [ -z "$bin" ]; then
  echo "make: no PostgreSQL server found, and it could not be installed." >&2
  echo "Install it (Debian: apt-get install postgresql), or set JINKE_TEST_POSTGRES to the URL of" >&2
  echo "a server on which databases may be created, e.g. postgres://postgres@127.0.0.1:5432/postgres." >&2
  exit 1
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/jinke-postgres.XXXXXX")
# initdb refuses to run as root, so a root user hands the cluster to another one.
run=()
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$dir"
  if command -v runuser >/dev/null; then run=(runuser -u "$user" --); else run=(su "$user" -s /bin/sh -c '"$0" "$@"' --); fi
fi
cleanup() {
  "${run[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT
# An interrupt reaches the command too; the trap then cleans up.
trap 'exit 130' INT TERM

cd "$dir"
"${run[@]}" "$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C >/dev/null
port=0
for _ in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 20000))
  if "${run[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start -o \
    "-h 127.0.0.1 -p $port -k $dir -c max_connections=300 -c fsync=${JINKE_PG_FSYNC:-off} -c shared_buffers=256MB -c max_wal_size=2GB" >/dev/null; then
    break
  fi
  port=0
done
if [ "$port" = 0 ]; then
  echo "make: the PostgreSQL server did not start:" >&2
  cat "$dir/log" >&2
  exit 1
fi
cd - >/dev/null
export JINKE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
"$@"
