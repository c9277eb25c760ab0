/* p11_shim.c - a PKCS#11 module that forwards to another one and fails on demand.
 *
 * KV_SHIM_MODULE names the module behind it. KV_SHIM_CONTROL names a file that is mapped: a test
 * writes there what is to go wrong, and reads how often each function was called. Both ends use it
 * at the same time, so what is changed last is `fault`. The file is made if it is not there.
 *
 * A fault hits a call when C_Initialize has been called `gate` times and `skip` calls have gone by,
 * and the next `times` calls (0: until it is taken back).
 *
 * What the module behind it loses is nobody's: LeakSanitizer does not look there.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/p11_calls.h"

typedef enum shim_fault {
    SHIM_NONE,
    SHIM_REFUSE, /* answers `rv` and does nothing */
    SHIM_LOSE,   /* does it, and answers `rv` */
    SHIM_DELAY,  /* does it after `delay_ms` */
    SHIM_HANG,   /* does it when the fault is taken back */
    SHIM_DIE,    /* the process ends, as by a crash of the module: by the signal `rv` */
    SHIM_LEAVE,  /* the same, but a process that it started goes on with all that it had open */
    SHIM_ESCAPE  /* the same in a session of its own, until the fault is taken back */
} shim_fault;

/* 64 bytes; numbers as the machine has them. */
typedef struct shim_call {
    char name[24];
    _Atomic uint32_t gate;
    _Atomic uint32_t calls;
    _Atomic uint32_t hits;
    _Atomic uint32_t inside;
    _Atomic uint32_t rv;
    _Atomic uint32_t delay_ms;
    _Atomic uint32_t skip;
    _Atomic uint32_t times;
    _Atomic uint32_t left; /* of `times` */
    _Atomic uint32_t fault;
} shim_call;

_Static_assert(sizeof(shim_call) == 64, "the file has lines of 64 bytes");

#define NUMBER(name, arguments, values) NUMBER_##name,
enum { KV_P11_CALLS(NUMBER) CALL_COUNT };
#undef NUMBER

static CK_FUNCTION_LIST *behind;
static shim_call *control;
static shim_call nowhere[CALL_COUNT];

static void nap(unsigned ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    while (nanosleep(&time, &time) != 0)
        continue;
}

/* Not by a handler that a sanitizer has put in the way. */
static void die(int number)
{
    int chosen = number ? number : SIGKILL;

    (void)signal(chosen, SIG_DFL);
    (void)raise(chosen);
}

/* As the helper of a vendor's module would. */
static void leave(int number)
{
    if (fork() == 0)
        for (;;)
            (void)pause();
    die(number);
}

/* The same, out of reach of who kills the group; for a minute, whatever becomes of the test. */
static void escape(const shim_call *call)
{
    if (fork() == 0) {
        (void)setsid();
        for (unsigned i = 0; i < 12000 && atomic_load(&call->fault) == SHIM_ESCAPE; i++)
            nap(5);
        _exit(0);
    }
    die((int)atomic_load(&call->rv));
}

/* Whether this call is one of those that fail. */
static shim_fault meet(shim_call *call)
{
    shim_fault fault = (shim_fault)atomic_load(&call->fault);
    uint32_t count;

    if (fault == SHIM_NONE ||
        atomic_load(&control[NUMBER_C_Initialize].calls) < atomic_load(&call->gate))
        return SHIM_NONE;
    for (count = atomic_load(&call->skip); count;)
        if (atomic_compare_exchange_weak(&call->skip, &count, count - 1))
            return SHIM_NONE;
    if (atomic_load(&call->times)) {
        for (count = atomic_load(&call->left); count;)
            if (atomic_compare_exchange_weak(&call->left, &count, count - 1))
                break;
        if (!count)
            return SHIM_NONE;
    }
    atomic_fetch_add(&call->hits, 1);
    return fault;
}

/* Only there with AddressSanitizer; each thread counts for itself. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void forgive(bool on)
{
    void (*what)(void) = on ? __lsan_disable : __lsan_enable;

    if (what)
        what();
}

/* True: answer `*rv` without doing anything. */
static bool before(shim_call *call, shim_fault *fault, CK_RV *rv)
{
    atomic_fetch_add(&call->calls, 1);
    atomic_fetch_add(&call->inside, 1);
    *fault = meet(call);
    if (*fault == SHIM_DIE)
        die((int)atomic_load(&call->rv));
    if (*fault == SHIM_LEAVE)
        leave((int)atomic_load(&call->rv));
    if (*fault == SHIM_ESCAPE)
        escape(call);
    if (*fault == SHIM_DELAY)
        nap(atomic_load(&call->delay_ms));
    while (*fault == SHIM_HANG && atomic_load(&call->fault) == SHIM_HANG)
        nap(5);
    *rv = atomic_load(&call->rv);
    return *fault == SHIM_REFUSE;
}

static CK_RV after(shim_call *call, shim_fault fault, CK_RV rv)
{
    if (fault == SHIM_LOSE)
        rv = atomic_load(&call->rv);
    atomic_fetch_sub(&call->inside, 1);
    return rv;
}

#define FORWARD(name, arguments, values)           \
    static CK_RV shim_##name arguments             \
    {                                              \
        shim_call *call = &control[NUMBER_##name]; \
        shim_fault fault;                          \
        CK_RV rv;                                  \
                                                   \
        if (!before(call, &fault, &rv)) {          \
            forgive(true);                         \
            rv = behind->name values;              \
            forgive(false);                        \
        }                                          \
        return after(call, fault, rv);             \
    }
KV_P11_CALLS(FORWARD)

#define MEMBER(name, arguments, values) .name = shim_##name,
static CK_FUNCTION_LIST shim = { .version = { 2, 40 },
                                 .C_GetFunctionList = C_GetFunctionList,
                                 KV_P11_CALLS(MEMBER) };

/* The file's lines, or memory that nobody else sees. */
static shim_call *map_control(const char *path)
{
    static const char *const names[] = {
#define NAME(name, arguments, values) #name,
        KV_P11_CALLS(NAME)
    };
    size_t size = sizeof(shim_call) * CALL_COUNT;
    shim_call *lines = nowhere;
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (mapped != MAP_FAILED)
            lines = mapped;
    }
    if (fd >= 0)
        (void)close(fd);
    for (size_t i = 0; i < CALL_COUNT; i++)
        (void)strncpy(lines[i].name, names[i], sizeof(lines[i].name) - 1);
    return lines;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    const char *path = getenv("KV_SHIM_MODULE");
    CK_C_GetFunctionList get = NULL;
    void *module;

    if (!list)
        return CKR_ARGUMENTS_BAD;
    if (!behind) {
        module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (module)
            *(void **)&get = dlsym(module, "C_GetFunctionList");
        if (!get || get(&behind) != CKR_OK)
            return CKR_GENERAL_ERROR;
        control = map_control(getenv("KV_SHIM_CONTROL"));
    }
    *list = &shim;
    return CKR_OK;
}
