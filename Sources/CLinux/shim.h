#include <linux/kvm.h>
#include <linux/perf_event.h>
