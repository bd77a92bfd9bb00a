#!/bin/sh
# Makes higher-half.elf and inlined.elf anew with the Swift toolchain's swiftc, clang and lld.
set -e
cd "$(dirname "$0")"
flags="--target=x86_64-unknown-none-elf -ffile-prefix-map=$PWD=/guest -fdebug-compilation-dir=/guest -g"
clang $flags -c higher-half.S -o entry.o
clang $flags -O1 -ffreestanding -fno-exceptions -mno-sse -mno-red-zone -mcmodel=kernel -c higher-half.cpp -o main.o
ld.lld -n --build-id=none -z max-page-size=0x1000 -T higher-half.ld entry.o main.o -o higher-half.elf
rm entry.o main.o

toolchain=$(dirname "$(dirname "$(command -v swiftc)")")
swiftc -target x86_64-unknown-none-elf -swift-version 6 -module-name Guest -parse-as-library -wmo -Osize -g \
  -enable-experimental-feature Embedded -Xfrontend -function-sections -Xfrontend -no-clang-module-breadcrumbs \
  -file-prefix-map "$PWD=/guest" -file-prefix-map "$toolchain=/swift" -file-compilation-dir /guest \
  -module-cache-path modules -c inlined.swift -o swift.o
clang $flags -O1 -ffreestanding -fno-exceptions -mno-sse -mno-red-zone -c inlined.cpp -o main.o
ld.lld -n --build-id=none --gc-sections -z max-page-size=0x1000 -T inlined.ld swift.o main.o -o inlined.elf
rm -r swift.o main.o modules
