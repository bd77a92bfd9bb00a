#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <libelf.h>
#include <stddef.h>
#include <stdint.h>

// What a symbol's name means, in the run-time libraries that every Swift program on Linux is linked with. Neither has a
// header that C can include.

/// libstdc++ (Itanium C++ ABI, 3.4): the result is to be freed.
char *__cxa_demangle(const char *mangledName, char *output, size_t *length, int *status);

/// libswiftCore (swift/Demangling/Demangle.h): the result is to be freed; flags must be 0.
char *swift_demangle(const char *mangledName, size_t mangledNameLength, char *output, size_t *length, uint32_t flags);
