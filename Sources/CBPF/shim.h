#pragma once

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/// BTF that builds on `base`, from bytes; NULL where it cannot be read.
///
/// libbpf 1.1 declares btf__new_split and does not define it (src/btf.c, 1.1.2), and takes such BTF from a file only:
/// so the bytes become one without a name.
static inline struct btf *cbpf_new_split(const void *bytes, size_t count, struct btf *base) {
  int file = (int)syscall(SYS_memfd_create, "btf", 1u /* MFD_CLOEXEC */);
  if (file < 0) return NULL;
  struct btf *btf = NULL;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  if (write(file, bytes, count) == (ssize_t)count) btf = btf__parse_raw_split(path, base);
  close(file);
  return libbpf_get_error(btf) ? NULL : btf;
}
