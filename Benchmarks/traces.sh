#!/bin/bash
# Reading traces: inquest beside trace-cmd and perf, on the same files, in the same run, best of several.
#
#   Benchmarks/traces.sh [INQUEST]     the command to measure; .build/release/inquest if not given
#
# Records a guest that kvm traces with millions of events (on a host whose KVM emulates every instruction, 12 s give 6.4
# million; elsewhere fewer), unless TRACE names a perf.data to use. ROUNDS is the number of runs, of which the best
# counts; GUEST the kernel image to run. Needs perf and trace-cmd, and /usr/bin/time.
set -euo pipefail
inquest=$(realpath "${1:-.build/release/inquest}")
rounds=${ROUNDS:-3}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/inquest-benchmark-XXXXXX")
trap 'rm -rf "$work"' EXIT

for tool in perf trace-cmd /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "benchmark: $tool is not installed" >&2; exit 1; }
done

perf_data=${TRACE:-$work/perf.data}
if [ -z "${TRACE:-}" ]; then
  guest=${GUEST:-$here/../Tests/Fixtures/one-gib-pages/guest.elf}
  [ -r "$guest" ] || { echo "benchmark: GUEST must name a kernel image for QEMU; $guest is none" >&2; exit 1; }
  echo "recording $guest ..."
  perf record -q -o "$perf_data" -e 'kvm:*' -e 'kvmmmu:*' \
    timeout 60 qemu-system-x86_64 -accel kvm -cpu Haswell -m 128 -kernel "$guest" -display none -no-reboot \
    >/dev/null 2>&1 || true
fi
"$inquest" convert --compression none -o "$work/none.dat" "$perf_data"
"$inquest" convert --compression zstd -o "$work/zstd.dat" "$perf_data"

# best NAME COMMAND...: the shortest wall-clock time in seconds and the peak memory in MB.
best() {
  local name=$1 round seconds memory bestSeconds=999999 bestMemory=0
  shift
  for round in $(seq "$rounds"); do
    /usr/bin/time -o "$work/time" -f '%e %M' "$@" >/dev/null 2>&1 || true
    read -r seconds memory < <(tail -1 "$work/time")
    if awk "BEGIN { exit !($seconds < $bestSeconds) }"; then bestSeconds=$seconds; bestMemory=$memory; fi
  done
  eval "seconds_$name=$bestSeconds memory_$name=$((bestMemory / 1024))"
}

# row LABEL NAME REFERENCE: one line, with how many times faster NAME is than REFERENCE.
row() {
  local seconds=seconds_$2 memory=memory_$2 reference=seconds_$3
  awk -v label="$1" -v s="${!seconds}" -v m="${!memory}" -v r="${!reference}" \
    'BEGIN { printf "  %-34s %9.3f s %8.0fx %8d MB\n", label, s, r / (s > 0 ? s : 0.005), m }'
}

events=$("$inquest" stat --format json "$perf_data" | sed 's/.*"events":\([0-9]*\).*/\1/')
echo "$events events; best of $rounds runs on $(nproc) CPUs"
[ "$events" -ge 5000000 ] || echo "(fewer than 5 million: this host's KVM does not trace every instruction)"

compare() {
  local title=$1 file=$2 tool=$3
  shift 3
  best tool "$@"
  best report "$inquest" report "$file"
  best stat "$inquest" stat "$file"
  best last "$inquest" report --last 1000 "$file"
  best examine "$inquest" examine "$file"
  printf '\n%s (%d MB)\n' "$title" "$(($(stat -L -c %s "$file") / 1000000))"
  row "$tool" tool tool
  row "inquest report" report tool
  row "inquest stat" stat tool
  row "inquest report --last 1000" last tool
  row "inquest examine" examine tool
}

compare "trace.dat, not compressed" "$work/none.dat" "trace-cmd report -N" trace-cmd report -N "$work/none.dat"
compare "trace.dat, zstd" "$work/zstd.dat" "trace-cmd report -N" trace-cmd report -N "$work/zstd.dat"
compare "perf.data" "$perf_data" "perf script" perf script -i "$perf_data"
