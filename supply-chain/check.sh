#!/usr/bin/env bash
# Checks every dependency: known vulnerabilities, licences, where it comes from; and prints how many there are.
#
# `advisory-db.tar.xz` is the database of RustSec (public domain, CC0) as of the day in `advisory-db.date`, so that the same tree
# gives the same answer and no network is needed. `supply-chain/refresh.sh FOLDER` packs a newer clone of it.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
tools=target/tools
if ! "$tools/bin/cargo-deny" --version 2>/dev/null | grep -qF " $version"; then
  cargo install --quiet --locked --root "$tools" "cargo-deny@$version"
fi
# cargo-deny takes the database as a git repository, under a name that it makes of the database's address.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
clone="$work/db/advisory-db-3157b0e258782691"
mkdir -p "$clone"
tar xJf supply-chain/advisory-db.tar.xz -C "$clone"
date="$(cat supply-chain/advisory-db.date)"
git -C "$clone" init --quiet
git -C "$clone" add --all
GIT_AUTHOR_DATE="$date" GIT_COMMITTER_DATE="$date" git -C "$clone" -c user.name=RustSec -c user.email=rustsec@localhost \
  commit --quiet -m "as of $date"
sed "s|^\[advisories\]|[advisories]\ndb-path = \"$work/db\"|" deny.toml > "$work/deny.toml"
"$tools/bin/cargo-deny" --all-features --offline --config "$work/deny.toml" check --hide-inclusion-graph advisories licenses sources bans
echo "dependencies: $(grep -c '^name = ' Cargo.lock)"
