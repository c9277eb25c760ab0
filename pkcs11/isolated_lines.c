/* isolated_lines.c - the connections to an isolated module, and the functions that use them. */
#include "pkcs11/isolated_lines.h"

#include <pthread.h>
#include <stdatomic.h>

#include "pkcs11/isolated_dialect.h"
#include "pkcs11/rv.h"
#include "server/base/clock.h"

typedef struct line {
    CK_FUNCTION_LIST *functions;
    bool initialised;
    _Atomic int64_t since_us; /* a call is away since then; 0: none */
    struct line *next;        /* free too */
} line;

struct kv_lines {
    bool taken; /* changed by kv_lines_open and _close alone */
    line all[KV_LINES];

    pthread_mutex_t mutex; /* guards `free` */
    pthread_cond_t freed;
    line *free;
};

#define SET                                                                   \
    {                                                                         \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER \
    }

/* A list of functions has no context, so these are the process's. */
static kv_lines *const sets = (kv_lines[KV_LINES_SETS]){ SET, SET, SET, SET };

static line *take(kv_lines *lines)
{
    line *l;

    pthread_mutex_lock(&lines->mutex);
    while (!lines->free)
        pthread_cond_wait(&lines->freed, &lines->mutex);
    l = lines->free;
    lines->free = l->next;
    pthread_mutex_unlock(&lines->mutex);
    atomic_store_explicit(&l->since_us, kv_monotonic_us(), memory_order_relaxed);
    return l;
}

static CK_RV give_back(kv_lines *lines, line *l, CK_RV rv)
{
    atomic_store_explicit(&l->since_us, 0, memory_order_relaxed);
    pthread_mutex_lock(&lines->mutex);
    l->next = lines->free;
    lines->free = l;
    pthread_cond_signal(&lines->freed);
    pthread_mutex_unlock(&lines->mutex);
    return rv;
}

/* --- all lines at once: nobody else is inside --- */

/* The first line's is the module's; the others only hang up. */
static CK_RV finalise(kv_lines *lines, void *reserved)
{
    CK_RV first = CKR_OK;

    for (unsigned i = 0; i < KV_LINES; i++) {
        line *l = &lines->all[i];
        CK_RV rv;

        /* p11-kit complains on standard error of a line that was never initialised. */
        if (!l->initialised)
            continue;
        atomic_store(&l->since_us, kv_monotonic_us());
        rv = l->functions->C_Finalize(reserved);
        atomic_store(&l->since_us, 0);
        l->initialised = false;
        if (i == 0)
            first = rv;
    }
    return first;
}

/* All lines or none: a line that is left initialised would never connect again. */
static CK_RV initialise(kv_lines *lines, void *arguments)
{
    CK_RV rv = CKR_OK;

    for (unsigned i = 0; rv == CKR_OK && i < KV_LINES; i++) {
        line *l = &lines->all[i];

        atomic_store(&l->since_us, kv_monotonic_us());
        rv = l->functions->C_Initialize(arguments);
        atomic_store(&l->since_us, 0);
        l->initialised = rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED;
    }
    if (rv != CKR_OK)
        (void)finalise(lines, NULL);
    return rv;
}

/* --- functions of each set --- */

/* clang-format off */
/* shape: table */
#define PLAIN(n, name, parameters, values) \
    static CK_RV on##n##_##name parameters \
    { \
        line *l = take(&sets[n]); \
        return give_back(&sets[n], l, l->functions->name values); \
    }
#define SPOKEN(n, name, parameters, values) \
    static CK_RV on##n##_##name parameters \
    { \
        line *l = take(&sets[n]); \
        return give_back(&sets[n], l, kv_dialect_##name(KV_DIALECT_OUT, l->functions, \
                                                        KV_DIALECT_OPEN values)); \
    }
#define ENDS(n) \
    static CK_RV on##n##_C_Initialize(void *a) { return initialise(&sets[n], a); } \
    static CK_RV on##n##_C_Finalize(void *a) { return finalise(&sets[n], a); }

#define PLAIN_0(...) PLAIN(0, __VA_ARGS__)
#define PLAIN_1(...) PLAIN(1, __VA_ARGS__)
#define PLAIN_2(...) PLAIN(2, __VA_ARGS__)
#define PLAIN_3(...) PLAIN(3, __VA_ARGS__)
#define SPOKEN_0(...) SPOKEN(0, __VA_ARGS__)
#define SPOKEN_1(...) SPOKEN(1, __VA_ARGS__)
#define SPOKEN_2(...) SPOKEN(2, __VA_ARGS__)
#define SPOKEN_3(...) SPOKEN(3, __VA_ARGS__)
#define MEMBER_0(name, parameters, values) .name = on0_##name,
#define MEMBER_1(name, parameters, values) .name = on1_##name,
#define MEMBER_2(name, parameters, values) .name = on2_##name,
#define MEMBER_3(name, parameters, values) .name = on3_##name,

#define FUNCTIONS(n) \
    ENDS(n) \
    KV_DIALECT_PLAIN(PLAIN_##n) \
    KV_DIALECT_SPOKEN(SPOKEN_##n)
#define LIST(n) \
    { .version = { 2, 40 }, \
      .C_Initialize = on##n##_C_Initialize, \
      .C_Finalize = on##n##_C_Finalize, \
      KV_DIALECT_PLAIN(MEMBER_##n) \
      KV_DIALECT_SPOKEN(MEMBER_##n) }

FUNCTIONS(0)
FUNCTIONS(1)
FUNCTIONS(2)
FUNCTIONS(3)

static CK_FUNCTION_LIST *const lists =
    (CK_FUNCTION_LIST[KV_LINES_SETS]){ LIST(0), LIST(1), LIST(2), LIST(3) };
/* clang-format on */

/* --- life --- */

static kv_status dial(kv_lines *lines, CK_C_GetFunctionList get, kv_error *err)
{
    lines->free = NULL;
    for (unsigned i = 0; i < KV_LINES; i++) {
        line *l = &lines->all[i];
        CK_RV rv = get(&l->functions);

        if (rv != CKR_OK)
            return kv_rv_fail(err, rv, "C_GetFunctionList of p11-kit's client");
        l->next = lines->free;
        lines->free = l;
    }
    return KV_OK;
}

kv_status kv_lines_open(CK_C_GetFunctionList get, kv_lines **out, kv_error *err)
{
    for (unsigned i = 0; i < KV_LINES_SETS; i++) {
        if (sets[i].taken)
            continue;
        KV_TRY(dial(&sets[i], get, err));
        sets[i].taken = true;
        *out = &sets[i];
        return KV_OK;
    }
    return kv_fail(err, KV_UNSUPPORTED, "at most %d PKCS#11 modules can be isolated",
                   KV_LINES_SETS);
}

void kv_lines_close(kv_lines *lines)
{
    if (lines)
        lines->taken = false;
}

CK_FUNCTION_LIST *kv_lines_functions(kv_lines *lines)
{
    return &lists[lines - sets];
}

bool kv_lines_overdue(const kv_lines *lines, int64_t ms)
{
    int64_t latest = kv_monotonic_us() - ms * 1000;

    for (unsigned i = 0; i < KV_LINES; i++) {
        int64_t since = atomic_load_explicit(&lines->all[i].since_us, memory_order_relaxed);

        if (since && since < latest)
            return true;
    }
    return false;
}
