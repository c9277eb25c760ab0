/* crypto_memory.c - OpenSSL's memory, which a test can make short. */
#include "tests/unit/x509/crypto_memory.h"

#include <stdlib.h>

#include <openssl/crypto.h>

#include "tests/support/kv_cmocka.h"

static unsigned before; /* so many succeed first */
static unsigned faults;
static bool failed;

static bool fails(void)
{
    if (!faults)
        return false;
    if (before) {
        before--;
        return false;
    }
    faults--;
    failed = true;
    return true;
}

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : malloc(size);
}

static void *resize(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : realloc(memory, size);
}

static void give(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

void crypto_memory_take(void)
{
    assert_true(CRYPTO_set_mem_functions(take, resize, give));
}

void crypto_memory_fail(unsigned n, unsigned times)
{
    before = n - 1;
    faults = times;
    failed = false;
}

bool crypto_memory_spare(void)
{
    bool was = failed;

    crypto_memory_fail(1, 0);
    return was;
}
