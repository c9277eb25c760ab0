/* module.h - one PKCS#11 module of this process: loaded, initialised, and the gate in front of it.
 *
 * Threads are inside the module only between enter and leave. Reinitialising waits until nobody
 * is, because C_Finalize under a running call crashes SoftHSM and is forbidden everywhere.
 *
 * Threads:  enter and leave any; the rest one at a time.
 * Lifetime: nobody is inside at kv_module_free().
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "pkcs11/isolated.h"

typedef struct kv_module {
    char *path;            /* "" for a function list that was handed in */
    kv_isolated *isolated; /* NULL: the module is in this process */
    CK_FUNCTION_LIST *functions;
    bool initialised;                /* changes only with the gate's write side held */
    atomic_bool stopping;            /* somebody waits for everybody to leave */
    atomic_uint_fast64_t generation; /* one more for each C_Initialize */
    pthread_rwlock_t gate;
} kv_module;

/* True when there is a list and it has every function that is called here. */
bool kv_module_is_whole(const CK_FUNCTION_LIST *functions);

/* Loads `path`, or takes `functions` when it is not NULL. Does not initialise.
 * KV_BAD_REQUEST with field "module" when it cannot be loaded. */
kv_status kv_module_new(const char *path, CK_FUNCTION_LIST *functions, kv_module **out,
                        kv_error *err) KV_MUST_USE;
/* A module in a process of its own. What kv_isolated_new says; C_Initialize starts the process. */
kv_status kv_module_new_isolated(const kv_isolated_config *config, kv_module **out,
                                 kv_error *err) KV_MUST_USE;
/* Finalises if initialised. The library stays mapped: some modules do not survive unloading. */
void kv_module_free(kv_module *module);

/* C_Initialize with operating-system locking, and C_Finalize. An isolated module gets a new
 * process, and none is left after the other. */
kv_status kv_module_start(kv_module *module, kv_error *err) KV_MUST_USE;
void kv_module_stop(kv_module *module);

/* KV_UNAVAILABLE while the module is being reinitialised: do not leave then. Not recursive. */
kv_status kv_module_enter(kv_module *module, kv_error *err) KV_MUST_USE;
void kv_module_leave(kv_module *module);

/* Turns newcomers away and waits until everybody has left; KV_TIMEOUT after `wait_ms`. */
kv_status kv_module_clear(kv_module *module, unsigned wait_ms, kv_error *err) KV_MUST_USE;
void kv_module_readmit(kv_module *module);

/* The error of a token or module that is out of reach. */
kv_status kv_module_unavailable(kv_error *err);
