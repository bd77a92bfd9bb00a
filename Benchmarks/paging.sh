#!/bin/bash
# Page tables: inquest beside the monitor of the QEMU that runs the guest, on the same guest, in the same run.
#
#   Benchmarks/paging.sh [INQUEST] [PAGING-BENCHMARK]     those in .build/release if not given
#
# The guest is Guests/million-pages: a million 4 KiB pages, of which no two neighbours are neighbours in memory.
set -euo pipefail
inquest=$(realpath "${1:-.build/release/inquest}")
benchmark=$(realpath "${2:-.build/release/paging-benchmark}")
here=$(cd "$(dirname "$0")" && pwd)
guest=$here/../Guests/build/million-pages.elf
[ -r "$guest" ] || { echo "benchmark: $guest is not there: make guests" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/var/tmp}/inquest-benchmark-XXXXXX")
qemu=
end() {
  [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
  rm -rf "$work"
}
trap end EXIT

qemu-system-x86_64 -accel tcg -m 128 -display none -serial "file:$work/console" -kernel "$guest" \
  -monitor "unix:$work/monitor,server=on,wait=off" -qmp "unix:$work/qmp,server=on,wait=off" &
qemu=$!
for _ in $(seq 300); do
  grep -q OK "$work/console" 2>/dev/null && break
  sleep 0.1
done

echo "page tables of a million 4 KiB pages; best of 5 rounds"
"$inquest" walk 8000000000 --qmp "$work/qmp" --format json > "$work/walk.json"
root=$(sed -n 's/.*"cr3" : "0x\([0-9a-f]*\)".*/\1/p' "$work/walk.json")
"$benchmark" "$work/monitor" "$root" "$work"

# best COMMAND...: the shortest wall-clock time in seconds and the peak memory in MB.
best() {
  for _ in 1 2 3; do /usr/bin/time -f '%e %M' "$@" 2>&1 >/dev/null | tail -1; done | sort -n | head -1
}

for arguments in "map --trouble" "map" "map --format json"; do
  # shellcheck disable=SC2086 # options, one by one
  read -r seconds memory < <(best "$inquest" $arguments --qmp "$work/qmp")
  printf '  %-44s%9.0f ms  whole command, %d MB\n' "inquest $arguments" "$(awk "BEGIN { print $seconds * 1000 }")" $((memory / 1024))
done
