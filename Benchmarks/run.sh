#!/bin/bash
# What inquest run costs a guest: beside the same guest untraced and under perf record, in the same run, best of several.
#
#   Benchmarks/run.sh [INQUEST [LINUX]]     the command to measure; .build/release/inquest if not given
#
# The guest is Guests/two-mib-pages, which lives; and, where a kernel's image is given, Linux, which boots until it panics for
# lack of a root file system. ROUNDS is the number of runs of each, in turn. Needs /dev/kvm, perf and leave to record
# tracepoints; says so where there is none.
set -euo pipefail
inquest=$(realpath "${1:-.build/release/inquest}")
linux=${2:+$(realpath "$2")}
rounds=${ROUNDS:-5}
here=$(cd "$(dirname "$0")" && pwd)
living=$here/../Guests/build/two-mib-pages.elf
dying=$here/../Guests/build/one-gib-pages.elf
for guest in "$living" "$dying"; do
  [ -r "$guest" ] || { echo "benchmark: $guest is not there: make guests" >&2; exit 1; }
done
if ! perf stat -e kvm:kvm_exit true >/dev/null 2>&1 || ! [ -w /dev/kvm ]; then
  echo "benchmark: no /dev/kvm here, or its tracepoints may not be recorded: inquest run is not measured"
  exit 0
fi
work=$(mktemp -d "${TMPDIR:-/var/tmp}/inquest-benchmark-XXXXXX")
trap 'rm -rf "$work"' EXIT

# QEMU, which notes when it ended: what inquest does after that is not the guest's time, nor while a dead one stands still.
cat > "$work/qemu-system-x86_64" <<END
#!/bin/bash
$(command -v qemu-system-x86_64) "\$@"
status=\$?
date +%s%N > "$work/end"
exit \$status
END
chmod +x "$work/qemu-system-x86_64"

qemu=("$work/qemu-system-x86_64" -accel kvm -cpu Haswell -m 128 -display none -serial null -no-reboot
  -device isa-debug-exit,iobase=0xf4,iosize=4)

# round NAME COMMAND...: keeps the shortest time to the guest's end, and to the command's, in milliseconds.
round() {
  local name=$1 start guest command verdict
  shift
  start=$(date +%s%N)
  "$@" > "$work/out" 2>&1 || true
  command=$((($(date +%s%N) - start) / 1000000))
  verdict=$(sed -n 's/^inquest: verdict \([0-9]*\) ms after the end$/\1/p' "$work/out")
  guest=$((($(cat "$work/end") - start) / 1000000))
  # A guest that was frozen had ended before QEMU did.
  [ -z "$verdict" ] || [ "$froze" = no ] || guest=$((guest - verdict))
  local best=guest_$name whole=whole_$name
  [ "${!best:-999999}" -le "$guest" ] || eval "guest_$name=$guest"
  [ "${!whole:-999999}" -le "$command" ] || eval "whole_$name=$command"
}

# row LABEL NAME: the times, and how many times the untraced guest's.
row() {
  local guest=guest_$2 whole=whole_$2
  awk -v label="$1" -v g="${!guest}" -v w="${!whole}" -v p="$guest_plain" -v q="$whole_plain" \
    'BEGIN { printf "  %-42s %8.2f s %6.2fx %8.2f s %6.2fx\n", label, g / 1000, g / p, w / 1000, w / q }'
}

# compare LABEL FROZE QEMU…: one guest untraced, under inquest run and under perf record. FROZE: whether it dies, yes or no.
compare() {
  local label=$1
  froze=$2
  shift 2
  unset guest_plain guest_run guest_perf whole_plain whole_run whole_perf
  for _ in $(seq "$rounds"); do
    round plain "$@"
    round run "$inquest" run -v --no-save -- "$@"
    round perf perf record -q -o "$work/perf.data" -e 'kvm:*' -e 'kvmmmu:*' "$@"
  done
  echo "$label; best of $rounds runs on $(nproc) CPUs"
  printf '  %-42s %17s %18s\n' "" "to the guest's end" "to the command's"
  row "untraced" plain
  row "inquest run" run
  row "perf record -e 'kvm:*' -e 'kvmmmu:*'" perf
  awk -v r="$guest_run" -v p="$guest_perf" 'BEGIN { printf "  inquest run takes %.2f of perf record'"'"'s time\n", r / p }'
}

compare "a guest with 2 MiB pages under KVM" no "${qemu[@]}" -kernel "$living"
if [ -n "$linux" ]; then
  compare "Linux under KVM, until it panics" yes "$work/qemu-system-x86_64" -accel kvm -cpu host -m 256 -display none \
    -serial "file:$work/console" -no-reboot -kernel "$linux" -append 'console=ttyS0 panic=-1'
fi

# The verdict on a guest that dies, with a recorder of 64 MiB that is full: of every event of the emulator.
if "$inquest" run --no-save -v --trace-memory 64 -e 'kvm:*' -e 'kvmmmu:*' -- "${qemu[@]}" -kernel "$dying" > "$work/out" 2>&1; then
  echo "  the guest with 1 GiB pages lives here: no death to time"
else
  grep -E 'events in all|ms after the end' "$work/out" | sed 's/^inquest: */  /'
fi
