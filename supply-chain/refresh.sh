#!/usr/bin/env bash
# Packs a clone of RustSec's database of advisories for `check.sh`.
set -euo pipefail
clone=${1:?the folder of a clone of the RustSec advisory database}
here=$(dirname "$0")
tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$clone" -cJf "$here/advisory-db.tar.xz" crates rust
git -C "$clone" log -1 --format=%cI > "$here/advisory-db.date"
