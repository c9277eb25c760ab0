/* isolated.c - the process of an isolated module: started, watched, killed, replaced. */
#include "pkcs11/isolated.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "pkcs11/isolated_child.h"
#include "pkcs11/isolated_host.h"
#include "pkcs11/isolated_lines.h"
#include "server/base/clock.h"

enum { WATCH_MS = 100, TEXT_BYTES = 160, NAME_BYTES = 32, HASH_BYTES = 32, ADDRESS_BYTES = 160 };
enum { DYING_MS = 20 };

typedef enum life { LIFE_NONE, LIFE_STARTING, LIFE_READY, LIFE_FAILED } life;

struct kv_isolated {
    char *environment;
    char name[NAME_BYTES];
    kv_child_config child; /* owned here, but for `environment` and `name` */
    unsigned hang_ms;
    kv_log *log; /* borrowed */
    void *library;
    kv_lines *lines;
    pthread_t warden;

    pthread_mutex_t mutex;  /* guards all that follows */
    pthread_cond_t changed; /* any of it */
    life life;
    bool start;   /* wanted of the warden */
    bool ending;  /* the warden itself is to end */
    bool running; /* the warden has a process, or is about to */
    bool asked;   /* the process has been told to end */
    bool killed;  /* because a call did not come back */
    bool gone;    /* the warden has seen its end */
    pid_t pid;    /* 0: none that may be killed */
    char text[TEXT_BYTES];
    void (*ended)(void *context);
    void *context;
};

/* --- the address, which p11-kit's client takes from the environment --- */

static const char client[] = KV_P11_KIT_CLIENT;

/* Put into the environment once: what changes later is its text alone, so that whoever looks for
 * another variable meanwhile is not disturbed. The environment is the process's, and so is this. */
static char *const address = (char[ADDRESS_BYTES]){ "P11_KIT_SERVER_ADDRESS=" };
static pthread_mutex_t *const address_lock = &(pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;

static void address_begin(kv_isolated *isolated)
{
    char path[ADDRESS_BYTES / 2];
    char *value = strchr(address, '=') + 1;

    kv_child_address(&isolated->child, path, sizeof(path));
    pthread_mutex_lock(address_lock);
    (void)snprintf(value, ADDRESS_BYTES - (size_t)(value - address), "unix:path=%s", path);
}

static void address_end(void)
{
    pthread_mutex_unlock(address_lock);
}

/* --- the warden --- */

static void become(kv_isolated *isolated, life now, const char *text)
{
    pthread_mutex_lock(&isolated->mutex);
    isolated->life = now;
    if (text)
        (void)snprintf(isolated->text, sizeof(isolated->text), "%s", text);
    pthread_cond_broadcast(&isolated->changed);
    pthread_mutex_unlock(&isolated->mutex);
}

/* What it says of itself, once; false when there is nothing more to hear of it. */
static bool hear(kv_isolated *isolated, const kv_child *it, bool starting)
{
    char message[TEXT_BYTES] = "";
    ssize_t got = read(it->lifeline, message, sizeof(message) - 1);

    if (got <= 0)
        return got < 0 && errno == EINTR;
    if (!starting)
        return false;
    if (message[0] == KV_HOST_READY)
        become(isolated, LIFE_READY, NULL);
    else
        become(isolated, LIFE_FAILED, message + 1);
    return true;
}

/* It ended and has not been waited for. */
static bool is_dead(pid_t pid)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* With what the module has started and left in its group. */
static void kill_group(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
}

static bool overdue(const kv_isolated *isolated, int64_t starting_us)
{
    int64_t latest = kv_monotonic_us() - (int64_t)isolated->hang_ms * 1000;

    return kv_lines_overdue(isolated->lines, isolated->hang_ms) ||
           (starting_us && starting_us < latest);
}

static void log_end(const kv_isolated *isolated, const char *why, int status)
{
    kv_log_write(isolated->log, KV_LOG_WARNING, "module.ended",
                 (kv_log_field[]){ { "module", isolated->child.module, 0 },
                                   { "why", why, 0 },
                                   { "signal", NULL, WIFSIGNALED(status) ? WTERMSIG(status) : 0 },
                                   { "status", NULL, WIFEXITED(status) ? WEXITSTATUS(status) : 0 },
                                   { 0 } });
}

/* The process ends with the thread that started it (PR_SET_PDEATHSIG): with the warden. Its line
 * may outlive it, in what the module has started. */
static void watch(kv_isolated *isolated, const kv_child *it)
{
    struct pollfd end = { .fd = it->lifeline, .events = POLLIN };
    int64_t began_us = kv_monotonic_us();
    bool alive = true;

    while (alive) {
        int ready = poll(&end, 1, WATCH_MS);
        bool starting;

        pthread_mutex_lock(&isolated->mutex);
        starting = isolated->life == LIFE_STARTING;
        pthread_mutex_unlock(&isolated->mutex);
        if (overdue(isolated, starting ? began_us : 0)) {
            kv_isolated_kill(isolated);
            kv_child_hang_up(&isolated->child);
        }
        if (ready > 0)
            alive = hear(isolated, it, starting);
        else
            alive = !is_dead(it->pid);
    }
}

static void live(kv_isolated *isolated, const kv_child *it)
{
    bool asked, killed;
    int status = 0;

    watch(isolated, it);
    pthread_mutex_lock(&isolated->mutex);
    isolated->pid = 0; /* once it is waited for, the number may be somebody else's */
    isolated->gone = true;
    pthread_mutex_unlock(&isolated->mutex);
    kill_group(it->pid);
    kv_child_hang_up(&isolated->child);
    while (waitpid(it->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    (void)close(it->lifeline);

    pthread_mutex_lock(&isolated->mutex);
    asked = isolated->asked;
    killed = isolated->killed;
    if (!asked && isolated->life == LIFE_READY && isolated->ended)
        isolated->ended(isolated->context);
    if (isolated->life != LIFE_FAILED)
        isolated->life = LIFE_NONE;
    pthread_mutex_unlock(&isolated->mutex);
    if (!asked)
        log_end(isolated, killed ? "a call did not come back" : "it ended by itself", status);
}

static bool started(kv_isolated *isolated, kv_child *out)
{
    bool good = kv_child_begin(&isolated->child, out);

    if (!good)
        become(isolated, LIFE_FAILED, strerror(errno));
    pthread_mutex_lock(&isolated->mutex);
    isolated->pid = good ? out->pid : 0;
    /* Told to end before it was there. */
    if (good && isolated->asked)
        kill_group(out->pid);
    pthread_mutex_unlock(&isolated->mutex);
    return good;
}

static void *warden(void *context)
{
    kv_isolated *isolated = context;
    kv_child it = { 0 };

    pthread_mutex_lock(&isolated->mutex);
    for (;;) {
        while (!isolated->start && !isolated->ending)
            pthread_cond_wait(&isolated->changed, &isolated->mutex);
        if (isolated->ending)
            break;
        isolated->start = false;
        pthread_mutex_unlock(&isolated->mutex);
        if (started(isolated, &it))
            live(isolated, &it);
        pthread_mutex_lock(&isolated->mutex);
        isolated->running = false;
        pthread_cond_broadcast(&isolated->changed);
    }
    pthread_mutex_unlock(&isolated->mutex);
    return NULL;
}

/* --- what the module's owner asks for --- */

static kv_status failed_to_start(const kv_isolated *isolated, kv_error *err)
{
    if (isolated->life == LIFE_FAILED) {
        kv_fail_field(err, "module", "the PKCS#11 module cannot be loaded");
        return kv_note(err, "%s: %s", isolated->child.module, isolated->text);
    }
    kv_fail(err, KV_UNAVAILABLE, "the process of the PKCS#11 module does not start");
    kv_because(err, KV_REASON_TOKEN_UNAVAILABLE);
    return kv_note(err, "%s", isolated->child.module);
}

kv_status kv_isolated_start(kv_isolated *isolated, kv_error *err)
{
    kv_status status = KV_OK;

    kv_isolated_stop(isolated);
    pthread_mutex_lock(&isolated->mutex);
    isolated->start = isolated->running = true;
    isolated->asked = isolated->killed = isolated->gone = false;
    isolated->life = LIFE_STARTING;
    pthread_cond_broadcast(&isolated->changed);
    while (isolated->running && isolated->life == LIFE_STARTING)
        pthread_cond_wait(&isolated->changed, &isolated->mutex);
    if (isolated->life != LIFE_READY)
        status = failed_to_start(isolated, err);
    pthread_mutex_unlock(&isolated->mutex);
    return status;
}

/* It ended by itself, or was killed, and perhaps nobody has noticed yet. */
static bool has_ended(const kv_isolated *isolated)
{
    return isolated->gone || isolated->killed || (isolated->pid && is_dead(isolated->pid));
}

/* The connections of a process that dies end a moment before it does, and whoever is told by them
 * may be here first: its end is told of as its own. */
static void let_die(kv_isolated *isolated)
{
    static const struct timespec step = { .tv_nsec = 1000000 };

    for (int i = 0; i < DYING_MS && isolated->life == LIFE_READY && !has_ended(isolated); i++) {
        pthread_mutex_unlock(&isolated->mutex);
        (void)nanosleep(&step, NULL);
        pthread_mutex_lock(&isolated->mutex);
    }
}

void kv_isolated_stop(kv_isolated *isolated)
{
    pthread_mutex_lock(&isolated->mutex);
    let_die(isolated);
    isolated->asked = isolated->asked || !has_ended(isolated);
    if (isolated->pid)
        kill_group(isolated->pid);
    while (isolated->running)
        pthread_cond_wait(&isolated->changed, &isolated->mutex);
    pthread_mutex_unlock(&isolated->mutex);
}

void kv_isolated_kill(kv_isolated *isolated)
{
    pthread_mutex_lock(&isolated->mutex);
    isolated->killed = true;
    if (isolated->pid)
        kill_group(isolated->pid);
    pthread_mutex_unlock(&isolated->mutex);
}

int kv_isolated_pid(kv_isolated *isolated)
{
    int pid;

    pthread_mutex_lock(&isolated->mutex);
    pid = (int)isolated->pid;
    pthread_mutex_unlock(&isolated->mutex);
    return pid;
}

void kv_isolated_when_ended(kv_isolated *isolated, void (*ended)(void *context), void *context)
{
    pthread_mutex_lock(&isolated->mutex);
    isolated->ended = ended;
    isolated->context = context;
    pthread_mutex_unlock(&isolated->mutex);
}

CK_FUNCTION_LIST *kv_isolated_functions(kv_isolated *isolated)
{
    return kv_lines_functions(isolated->lines);
}

/* --- new and free --- */

static kv_status open_folder(kv_isolated *isolated, const char *folder, kv_error *err)
{
    struct stat info;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return kv_fail(err, KV_PRECONDITION, "the folder '%.100s' cannot be made: %s", folder,
                       strerror(errno));
    isolated->child.folder = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (isolated->child.folder < 0 || fstat(isolated->child.folder, &info) != 0 ||
        info.st_uid != geteuid() || info.st_mode & (S_IRWXG | S_IRWXO))
        return kv_fail(err, KV_PRECONDITION,
                       "the folder '%.100s' for an isolated module's socket is not private",
                       folder);
    return KV_OK;
}

static kv_status load_client(kv_isolated *isolated, kv_error *err)
{
    CK_C_GetFunctionList get = NULL;
    kv_status status;

    isolated->library = dlopen(client, RTLD_NOW | RTLD_LOCAL);
    if (isolated->library)
        *(void **)&get = dlsym(isolated->library, "C_GetFunctionList");
    if (!get) {
        kv_fail(err, KV_PRECONDITION,
                "an isolated PKCS#11 module needs p11-kit's client (package p11-kit-modules)");
        return kv_note(err, "%s is not there", client);
    }
    if (putenv(address) != 0)
        return kv_fail(err, KV_BUSY, "out of memory");
    address_begin(isolated);
    status = kv_lines_open(get, &isolated->lines, err);
    address_end();
    return status;
}

static kv_status fill(kv_isolated *isolated, const kv_isolated_config *config, kv_error *err)
{
    uint8_t hash[HASH_BYTES];
    unsigned len = 0;

    isolated->child.module = strdup(config->module);
    isolated->child.program = strdup(config->program);
    isolated->environment = strdup(config->environment ? config->environment : "");
    if (!isolated->child.module || !isolated->child.program || !isolated->environment)
        return kv_fail(err, KV_BUSY, "out of memory");
    isolated->child.environment = isolated->environment;
    isolated->child.name = isolated->name;
    /* Two modules with one name would be served by one process, which would be told both PINs. */
    if (!EVP_Digest(config->module, strlen(config->module), hash, &len, EVP_sha256(), NULL))
        return kv_fail(err, KV_INTERNAL, "no name for the socket of a module");
    (void)snprintf(isolated->name, sizeof(isolated->name), "%02x%02x%02x%02x%02x%02x%02x%02x.sock",
                   hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
    KV_TRY(open_folder(isolated, config->folder, err));
    KV_TRY(load_client(isolated, err));
    if (pthread_create(&isolated->warden, NULL, warden, isolated) != 0)
        return kv_fail(err, KV_BUSY, "no thread for an isolated module");
    return KV_OK;
}

static void dispose(kv_isolated *isolated)
{
    kv_lines_close(isolated->lines);
    if (isolated->child.folder >= 0) {
        (void)unlinkat(isolated->child.folder, isolated->name, 0);
        (void)close(isolated->child.folder);
    }
    pthread_mutex_destroy(&isolated->mutex);
    pthread_cond_destroy(&isolated->changed);
    free(isolated->child.module);
    free(isolated->child.program);
    free(isolated->environment);
    free(isolated);
}

kv_status kv_isolated_new(const kv_isolated_config *config, kv_isolated **out, kv_error *err)
{
    kv_isolated *isolated = calloc(1, sizeof(*isolated));
    kv_status status;

    if (!isolated)
        return kv_fail(err, KV_BUSY, "out of memory");
    isolated->hang_ms = config->hang_ms;
    isolated->log = config->log;
    isolated->child.folder = -1;
    pthread_mutex_init(&isolated->mutex, NULL);
    pthread_cond_init(&isolated->changed, NULL);
    status = fill(isolated, config, err);
    if (status != KV_OK) {
        dispose(isolated);
        return status;
    }
    *out = isolated;
    return KV_OK;
}

void kv_isolated_free(kv_isolated *isolated)
{
    if (!isolated)
        return;
    kv_isolated_stop(isolated);
    pthread_mutex_lock(&isolated->mutex);
    isolated->ending = true;
    pthread_cond_broadcast(&isolated->changed);
    pthread_mutex_unlock(&isolated->mutex);
    pthread_join(isolated->warden, NULL);
    dispose(isolated);
}
