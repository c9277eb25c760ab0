/* isolated_host.c - serves one PKCS#11 module to the process that started this one. */
#include "pkcs11/isolated_host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define P11_KIT_FUTURE_UNSTABLE_API
#include <p11-kit/remote.h>

#include "pkcs11/isolated_dialect.h"
#include "pkcs11/module.h"

enum { TEXT_BYTES = 160, NOT_STARTED_SO = 2, ARGUMENTS = 4 };

/* The module, and the list that is served instead of its own. */
typedef struct one_host {
    CK_FUNCTION_LIST *module;
    CK_FUNCTION_LIST served;
    pthread_mutex_t mutex; /* guards what follows */
    bool initialised;
} one_host;

/* The process has one module, and functions of Cryptoki have no context. */
static one_host *const host = &(one_host){ .mutex = PTHREAD_MUTEX_INITIALIZER };

/* Each connection initialises; the module is initialised once. */
static CK_RV initialise(void *arguments)
{
    CK_RV rv = CKR_OK;

    pthread_mutex_lock(&host->mutex);
    if (!host->initialised)
        rv = host->module->C_Initialize(arguments);
    host->initialised = rv == CKR_OK;
    pthread_mutex_unlock(&host->mutex);
    return rv;
}

/* The first one is the parent's own, the others only hang up. */
static CK_RV finalise(void *reserved)
{
    CK_RV rv = CKR_OK;

    pthread_mutex_lock(&host->mutex);
    if (host->initialised)
        rv = host->module->C_Finalize(reserved);
    host->initialised = false;
    pthread_mutex_unlock(&host->mutex);
    return rv;
}

#define HEAR(name, parameters, values)                                                 \
    static CK_RV hear_##name parameters                                                \
    {                                                                                  \
        return kv_dialect_##name(KV_DIALECT_IN, host->module, KV_DIALECT_OPEN values); \
    }
KV_DIALECT_SPOKEN(HEAR)

static void *serve(void *descriptor)
{
    int fd = (int)(intptr_t)descriptor;

    (void)p11_kit_remote_serve_module(&host->served, fd, fd);
    (void)close(fd);
    return NULL;
}

/* Only the parent may come in: whoever does shares its login. */
static bool is_parent(int fd, pid_t parent)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == parent;
}

static void welcome(pid_t parent)
{
    int fd = accept4(KV_HOST_LISTENER, NULL, NULL, SOCK_CLOEXEC);
    pthread_t thread;

    if (fd < 0)
        return;
    if (!is_parent(fd, parent) || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0) {
        (void)close(fd);
        return;
    }
    (void)pthread_detach(thread);
}

static void tell(char what, const char *text)
{
    char message[TEXT_BYTES];
    int len = snprintf(message, sizeof(message), "%c%s", what, text ? text : "");

    if (len >= (int)sizeof(message))
        len = (int)sizeof(message) - 1;
    if (write(KV_HOST_LIFELINE, message, (size_t)len) != len)
        _exit(EXIT_FAILURE);
}

static bool load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get = NULL;

    if (!library) {
        tell(KV_HOST_FAILED, dlerror());
        return false;
    }
    *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get || get(&host->module) != CKR_OK || !kv_module_is_whole(host->module)) {
        tell(KV_HOST_FAILED, "it gives no whole list of functions");
        return false;
    }
    host->served = *host->module;
    host->served.C_Initialize = initialise;
    host->served.C_Finalize = finalise;
#define TAKE(name, parameters, values) host->served.name = hear_##name;
    KV_DIALECT_SPOKEN(TAKE)
#undef TAKE
    return true;
}

/* A service manager tells every process of a service to stop; this one's parent still needs it. */
static void prepare(void)
{
    static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    /* Not for what the module may start. */
    (void)fcntl(KV_HOST_LISTENER, F_SETFD, FD_CLOEXEC);
    (void)fcntl(KV_HOST_LIFELINE, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "keyvaultd-hsm", 0, 0, 0);
}

int kv_isolated_host(int argc, char **argv)
{
    struct pollfd ends[] = { { .fd = KV_HOST_LIFELINE, .events = POLLIN },
                             { .fd = KV_HOST_LISTENER, .events = POLLIN } };
    pid_t parent = argc == ARGUMENTS ? (pid_t)strtol(argv[ARGUMENTS - 1], NULL, 10) : 0;

    if (parent <= 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        return NOT_STARTED_SO;
    prepare();
    if (!load(argv[2]))
        return EXIT_FAILURE;
    tell(KV_HOST_READY, NULL);
    for (;;) {
        if (poll(ends, 2, -1) < 0)
            continue;
        /* Nothing is ever said on it: it closed. No handler of the module's is asked. */
        if (ends[0].revents)
            _exit(EXIT_SUCCESS);
        if (ends[1].revents)
            welcome(parent);
    }
}
