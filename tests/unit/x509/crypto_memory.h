/* crypto_memory.h - OpenSSL's memory, which a test can make short.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>

/* Before anything else of OpenSSL: first in main(). */
void crypto_memory_take(void);
/* The n-th allocation from now (1: the next) fails, and those behind it, `times` in all. */
void crypto_memory_fail(unsigned n, unsigned times);
/* No more of that. Has one failed? */
bool crypto_memory_spare(void);
