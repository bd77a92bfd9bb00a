#include <lzo/lzo1x.h>

/* A macro, which Swift does not see. */
static inline int clzo_init(void) { return lzo_init(); }
