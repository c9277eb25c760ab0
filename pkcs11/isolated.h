/* isolated.h - a PKCS#11 module in a process of its own, which can be killed.
 *
 * kv_module loads the module through this when it is to be isolated. The process is `program`
 * started with "host-module" (isolated_host.h), reached by p11-kit's client over a socket in a
 * folder that is private. A thread, the warden, starts the process, kills it when a call overruns
 * `hang_ms`, and says at once when it has ended. Calls that are away then return with an error of
 * the token's; nothing comes back by itself: the supervisor of tokens reinitialises the module,
 * which starts a new process.
 *
 * Threads:  kv_isolated_new before other threads run (it changes the environment); _start, _stop
 * and _free one at a time; the rest any. Lifetime: after kv_isolated_free no call may be made by
 * its functions. SIGPIPE must be ignored or blocked: the process at the other end may be gone.
 */
#pragma once

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include "server/base/error.h"
#include "server/base/log.h"

typedef struct kv_isolated kv_isolated;

/* Everything is copied but `log`, which is borrowed and may be NULL. */
typedef struct kv_isolated_config {
    const char *module;      /* path of the vendor's PKCS#11 module */
    const char *program;     /* path of keyvaultd, or "/proc/self/exe" */
    const char *folder;      /* for sockets; made if missing, mode 0700 */
    const char *environment; /* names of the variables that the process gets, by blanks */
    unsigned hang_ms;
    kv_log *log;
} kv_isolated_config;

/* Loads p11-kit's client; starts nothing. KV_PRECONDITION when p11-kit's client is not installed or
 * the folder is not private; KV_UNSUPPORTED when too many modules are isolated; KV_BUSY. */
kv_status kv_isolated_new(const kv_isolated_config *config, kv_isolated **out,
                          kv_error *err) KV_MUST_USE;
void kv_isolated_free(kv_isolated *isolated);

CK_FUNCTION_LIST *kv_isolated_functions(kv_isolated *isolated);

/* Starts the process and waits until it has loaded the module. KV_BAD_REQUEST with field "module"
 * when it cannot load it, KV_UNAVAILABLE when it does not come up. */
kv_status kv_isolated_start(kv_isolated *isolated, kv_error *err) KV_MUST_USE;
/* Ends the process and waits for that; nothing when there is none. */
void kv_isolated_stop(kv_isolated *isolated);
/* Has the process killed. Calls that are away return soon. */
void kv_isolated_kill(kv_isolated *isolated);
/* 0: there is none. */
int kv_isolated_pid(kv_isolated *isolated);

/* `ended(context)` is called by the warden when the process ends without having been asked to.
 * NULL: nobody is told. */
void kv_isolated_when_ended(kv_isolated *isolated, void (*ended)(void *context), void *context);
