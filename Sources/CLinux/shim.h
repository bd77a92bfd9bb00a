// What Swift cannot call for itself: system calls that glibc declares as variadic or not at all, and the steps between
// fork and exec, where only async-signal-safe C may run. No policy lives here.
#pragma once

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/// Request numbers, whose macros Swift cannot see.
static const unsigned long clinux_kvm_get_supported_cpuid = KVM_GET_SUPPORTED_CPUID;
static const unsigned long clinux_kvm_get_api_version = KVM_GET_API_VERSION;
static const unsigned long clinux_kvm_check_extension = KVM_CHECK_EXTENSION;
static const unsigned long clinux_kvm_get_msr_index_list = KVM_GET_MSR_INDEX_LIST;
static const unsigned long clinux_kvm_get_msr_feature_index_list = KVM_GET_MSR_FEATURE_INDEX_LIST;
static const unsigned long clinux_kvm_get_msrs = KVM_GET_MSRS;
static const unsigned long clinux_kvm_get_device_attr = KVM_GET_DEVICE_ATTR;
static const unsigned long clinux_perf_pause_output = PERF_EVENT_IOC_PAUSE_OUTPUT;
static const unsigned long clinux_perf_set_filter = PERF_EVENT_IOC_SET_FILTER;
static const unsigned long clinux_perf_set_output = PERF_EVENT_IOC_SET_OUTPUT;

/// The CPUID instruction: EAX, EBX, ECX and EDX of a leaf and subleaf.
static inline void clinux_cpuid(unsigned leaf, unsigned subleaf, unsigned registers[4]) {
  __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
}

/// Where the newest record of a backward ring begins; ordered before the reads of the records.
static inline unsigned long long clinux_perf_head(const void *ring) {
  return __atomic_load_n(&((const struct perf_event_mmap_page *)ring)->data_head, __ATOMIC_ACQUIRE);
}

/// Up to where a forward ring was read; ordered after the reads of the records.
static inline unsigned long long clinux_perf_tail(const void *ring) {
  return ((const struct perf_event_mmap_page *)ring)->data_tail;
}

static inline void clinux_perf_set_tail(void *ring, unsigned long long tail) {
  __atomic_store_n(&((struct perf_event_mmap_page *)ring)->data_tail, tail, __ATOMIC_RELEASE);
}

/// - `thread`: 0 for the calling thread, -1 for every thread.
/// - `cpu`: -1 for every CPU.
static inline int clinux_perf_event_open(const struct perf_event_attr *attributes, pid_t thread, int cpu) {
  return (int)syscall(SYS_perf_event_open, attributes, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static inline int clinux_ioctl_number(int descriptor, unsigned long request, unsigned long argument) {
  return ioctl(descriptor, request, argument);
}

static inline int clinux_ioctl_pointer(int descriptor, unsigned long request, void *argument) {
  return ioctl(descriptor, request, argument);
}

static inline int clinux_memfd_create(const char *name) {
  return (int)syscall(SYS_memfd_create, name, 3u /* MFD_CLOEXEC | MFD_ALLOW_SEALING */);
}

/// F_ADD_SEALS, which glibc shows only to GNU source.
static inline int clinux_seal_size(int descriptor) {
  return fcntl(descriptor, 1033 /* F_ADD_SEALS */, 0x1 | 0x2 | 0x4 /* SEAL, SHRINK, GROW */);
}

/// Whether nobody can make the file shorter any more (F_GET_SEALS, F_SEAL_SHRINK).
static inline int clinux_is_sealed_against_shrinking(int descriptor) {
  int seals = fcntl(descriptor, 1034);
  return seals >= 0 && (seals & 0x2);
}

/// Copies `count` bytes from an address of another process; how many could be copied, or -1 with errno set.
static inline long clinux_read_process(pid_t process, unsigned long address, void *buffer, unsigned long count) {
  unsigned long local[2] = {(unsigned long)buffer, count};
  unsigned long remote[2] = {address, count};
  return syscall(SYS_process_vm_readv, process, local, 1ul, remote, 1ul, 0ul);
}

/// The process that listens at the other end of a UNIX socket, 0 if this process cannot see it, or -1 with errno set.
static inline pid_t clinux_peer_process(int socket) {
  // struct ucred, which glibc shows only to GNU source: process, user, group.
  struct { pid_t process; uid_t user; gid_t group; } peer = {0, 0, 0};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.process : -1;
}

/// A device number as `stat` shows it, from the two numbers of `/proc/PID/maps`.
static inline unsigned long clinux_device_number(unsigned int major, unsigned int minor) {
  return makedev(major, minor);
}

/// A pipe whose ends are close-on-exec.
static inline int clinux_pipe(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

/// Moves bytes between a pipe and another descriptor without waiting for the pipe; how many, or -1 with errno set.
static inline long clinux_splice(int from, int to, unsigned long count) {
  return syscall(SYS_splice, from, (void *)0, to, (void *)0, count, 3u /* SPLICE_F_MOVE | SPLICE_F_NONBLOCK */);
}

/// A close-on-exec descriptor from which the signals of the set can be read without waiting.
static inline int clinux_signalfd(const sigset_t *signals) {
  return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// Whether this process ignores the signal, as one started by nohup does SIGHUP.
static inline int clinux_ignores(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static inline int clinux_pidfd_open(pid_t process) {
  return (int)syscall(SYS_pidfd_open, process, 0);
}

/// Starts `arguments[0]`, found along PATH, and returns its process ID, or -1 with errno set when it cannot be started.
///
/// - `standard`: what become the child's standard input, output and error; -1 leaves it the caller's.
/// - `inherited`: `inherited_count` descriptors that the child gets under the same numbers.
/// - `holds_interrupts`: whether the child blocks SIGINT, which a terminal's Ctrl-C sends to it, too.
///
/// The child blocks no other signal, whatever the calling thread blocks: threads of a pool often block all.
/// The process group, the terminal and all descriptors that are not close-on-exec stay the caller's. The child gets SIGTERM when the calling thread ends, so it cannot outlive a killed parent.
static inline pid_t clinux_spawn(
    char *const arguments[], const int standard[3], const int *inherited, size_t inherited_count,
    int holds_interrupts) {
  int report[2];
  if (clinux_pipe(report) != 0) return -1;
  sigset_t blocked;
  sigemptyset(&blocked);
  if (holds_interrupts) sigaddset(&blocked, SIGINT);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    int failure = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) failure = errno;
    for (int i = 0; i < 3 && !failure; i++)
      if (standard[i] >= 0 && dup2(standard[i], i) < 0) failure = errno;
    for (size_t i = 0; i < inherited_count && !failure; i++)
      if (fcntl(inherited[i], F_SETFD, 0) != 0) failure = errno;
    if (!failure && sigprocmask(SIG_SETMASK, &blocked, NULL) != 0) failure = errno;
    // The parent may have ended before prctl.
    if (!failure && getppid() != parent) _exit(127);
    if (!failure) {
      execvp(arguments[0], arguments);
      failure = errno;
    }
    ssize_t written = write(report[1], &failure, sizeof failure);
    (void)written;
    _exit(127);
  }
  int failure = child < 0 ? errno : 0;
  close(report[1]);
  if (child > 0) {
    int reported = 0;
    ssize_t count;
    do count = read(report[0], &reported, sizeof reported);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)sizeof reported) {
      failure = reported;
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    }
  }
  close(report[0]);
  if (!failure) return child;
  errno = failure;
  return -1;
}

/// The calling thread's number, which glibc shows only to GNU source.
static inline pid_t clinux_thread(void) { return (pid_t)syscall(SYS_gettid); }

/// Waits in a process of its own until the other end of `pipe` is closed, however its holder ends.
///
/// The process has a session of its own, so that a terminal's signals do not reach it, and keeps no descriptor but the
/// pipe. Only async-signal-safe calls are made.
static inline void clinux_await_holder(int pipe) {
  setsid();
  // A signal to all processes of this name is not for this one, which ends last.
  for (int number = 1; number < SIGRTMIN; number++) signal(number, SIG_IGN);
  int nothing = open("/dev/null", O_RDWR);
  for (int standard = 0; standard < 3; standard++) dup2(nothing, standard);
  dup2(pipe, 3);
  syscall(SYS_close_range, 4u, ~0u, 0u);
  // The holder's end does not block, and this one is its copy.
  fcntl(3, F_SETFL, 0);
  char byte;
  ssize_t count;
  do count = read(3, &byte, 1);
  while (count > 0 || (count < 0 && errno == EINTR));
}

/// Starts a process that removes `count` files and their folder when the other end of `pipe` is closed. Returns its
/// process ID, or -1 with errno set. What somebody else put there stays, and so does the folder then.
static inline pid_t clinux_guard_folder(int pipe, const char *folder, char *const files[], size_t count) {
  pid_t child = fork();
  if (child != 0) return child;
  clinux_await_holder(pipe);
  for (size_t file = 0; file < count; file++) unlink(files[file]);
  rmdir(folder);
  _exit(0);
}

/// Starts a process that waits until the other end of `pipe` is closed, however its holder ends, and then removes an
/// instance of tracefs and the dynamic events that used it. Returns its process ID, or -1 with errno set.
///
/// - `instance`: the instance's folder; empty where there is none.
/// - `events`: tracefs's file of dynamic events, or NULL.
/// - `removals`: `count` lines, each of which removes one event.
///
/// Between fork and exit only async-signal-safe calls are made. The kernel refuses removal as long as the
/// holder's files are open, which is a moment longer than the pipe.
static inline pid_t clinux_guard_tracing(
    int pipe, const char *instance, const char *events, char *const removals[], size_t count) {
  pid_t child = fork();
  if (child != 0) return child;
  clinux_await_holder(pipe);
  int attempts = 2000;  // Of 5 ms, in all.
  for (; attempts > 0 && rmdir(instance) != 0 && errno == EBUSY; attempts--) usleep(5000);
  for (size_t line = 0; line < count; line++) {
    for (; attempts > 0; attempts--) {
      int file = open(events, O_WRONLY | O_APPEND);
      size_t length = 0;
      while (removals[line][length]) length++;
      ssize_t written = file < 0 ? 0 : write(file, removals[line], length);
      int isBusy = written < 0 && errno == EBUSY;
      if (file >= 0) close(file);
      if (!isBusy) break;
      usleep(5000);
    }
  }
  _exit(0);
}
