#!/bin/sh
# Lays out the root of the image: the programs, the shared libraries they name, certificates of public
# authorities, time zones, and a user that is not root. Nothing else: no shell, no package manager.
set -eu
bin=${1:?usage: rootfs.sh FOLDER-OF-PROGRAMS ROOT}
root=${2:?usage: rootfs.sh FOLDER-OF-PROGRAMS ROOT}
here=$(dirname "$0")
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/usr/share" "$root/tmp" "$root/var/lib/jinke"
for program in $("$here/programs.sh"); do
  strip -o "$root/usr/local/bin/$program" "$bin/$program" 2>/dev/null || cp "$bin/$program" "$root/usr/local/bin/"
  # "name => /path (address)" and "/path (address)" of the loader.
  ldd "$bin/$program" | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Ln "$library" "$root$library"
  done
done
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
if [ -d /usr/share/zoneinfo ]; then cp -a /usr/share/zoneinfo "$root/usr/share/"; fi
printf 'root:x:0:0::/:/none\njinke:x:65532:65532::/var/lib/jinke:/none\n' >"$root/etc/passwd"
printf 'root:x:0:\njinke:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/var/lib/jinke" 2>/dev/null || true
