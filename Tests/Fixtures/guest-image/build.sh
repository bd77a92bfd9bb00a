#!/bin/sh
# Makes higher-half.elf anew with the clang and lld of the Swift toolchain (or any other).
set -e
cd "$(dirname "$0")"
flags="--target=x86_64-unknown-none-elf -ffile-prefix-map=$PWD=/guest -fdebug-compilation-dir=/guest -g"
clang $flags -c higher-half.S -o entry.o
clang $flags -O1 -ffreestanding -fno-exceptions -mno-sse -mno-red-zone -mcmodel=kernel -c higher-half.cpp -o main.o
ld.lld -n --build-id=none -z max-page-size=0x1000 -T higher-half.ld entry.o main.o -o higher-half.elf
rm entry.o main.o
