#!/bin/sh
# Makes the root directory of the image: rootfs.sh <executable> <directory>
# It holds the executable, the C and C++ libraries that the executable needs, and the user. Node carries its own certificates and time zones.
set -eu
umask 022
executable=$1
root=$2

install -D -m 0755 "$executable" "$root/usr/local/bin/prism"
ldd "$executable" | grep -o '/[^ )]*' | while read -r library; do
  install -D -m 0755 "$library" "$root$library"
done

mkdir -p "$root/etc"
printf 'root:x:0:0:root:/:/sbin/nologin\nprism:x:10001:10001:Prism:/data:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nprism:x:10001:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
# Mount points. A volume takes over the owner of /data.
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/run/secrets"
chmod 1777 "$root/tmp"
install -d -m 0700 "$root/data"
# Without root, scripts/package/image.mjs sets it.
if [ "$(id -u)" = 0 ]; then chown 10001:10001 "$root/data"; fi
