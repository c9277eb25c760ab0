/* hash.h - uthash that goes on when there is no memory.
 *
 * As it comes, uthash ends the process when it cannot allocate. With this header, and never
 * <uthash.h> itself, a HASH_ADD… that finds no memory leaves the table as it was and the element
 * outside: the caller asks KV_HASH_HAS.
 */
#pragma once

#ifdef UTHASH_H
#error "include server/base/hash.h, not uthash.h"
#endif

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* After HASH_ADD…(…, element): is the element in the table? Its handle is called `hh`. */
#define KV_HASH_HAS(element) ((element)->hh.tbl != NULL)
