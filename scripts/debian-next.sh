#!/bin/sh
# Unpacks programs of Debian's next release, or of DEBIAN_SUITE, into a folder:
# scripts/debian-next.sh DIR PACKAGE...
# Tests need a nats-server that is newer than that of Debian 12. Nothing is installed; the mirror is the
# one of the system's own sources.
set -eu
dir=$(mkdir -p "$1" && cd "$1" && pwd)
shift
state=$dir/apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  sed -nE 's/^(URIs:|deb) +(\[[^]]*\] +)?([a-z]+:\/\/[^ ]+\/debian\/?)( .*)?$/\3/p' | head -n 1)
printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
  "$mirror" "${DEBIAN_SUITE:-trixie}" /usr/share/keyrings/debian-archive-keyring.gpg >"$state/next.sources"
next() {
  apt-get -qq -o Dir::Etc::SourceList="$state/next.sources" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root "$@"
}
next update
cd "$state"
for package in "$@"; do next download "$package"; done
for deb in "$state"/*.deb; do dpkg-deb -x "$deb" "$dir"; done
rm -rf "$state"
