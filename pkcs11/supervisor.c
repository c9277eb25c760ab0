/* supervisor.c - walks tokens between UP, SUSPECT and DOWN. */
#include "pkcs11/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "server/base/clock.h"

enum {
    WAIT_MS = 2000,
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MOST_MS = 1000, /* from then on at this pace, */
    SHARE_ALONE = 2,         /* or after so many times what the last attempt took */
    SHARE_OTHERS_UP = 20,    /* when it disturbs tokens that are well */
    BACK_OFF_SLOW_MS = 60000,
    WATCH_MS = 250,
    DOUBT_WINDOW_MS = 10000,
    DOUBTS_QUIET = 3, /* in a window: from then on only told together */
    DOUBTS_MOST = 32, /* in a window: the probe does not see what is wrong */
    PATIENCE_FIRST_MS = 30000,
    PATIENCE_MAX_MS = 600000
};

struct kv_supervisor {
    kv_module *module;   /* borrowed */
    kv_token **tokens;   /* borrowed */
    kv_token_keep *keep; /* borrowed */
    size_t count;
    bool watching; /* it has its threads */
    pthread_t thread;
    pthread_t watchdog;

    pthread_mutex_t recovering; /* one prober at a time */
    unsigned took_ms; /* the last attempt to bring the module back; only the prober looks */

    pthread_mutex_t mutex;  /* guards all that follows */
    pthread_cond_t changed; /* `wanted` or `stop` */
    pthread_cond_t ended;   /* `stop` */
    bool stop;
    bool wanted; /* look now */
};

static const char *const state_names[] = {
    [KV_TOKEN_UP] = "token.up",
    [KV_TOKEN_SUSPECT] = "token.suspect",
    [KV_TOKEN_DOWN] = "token.down",
};

/* Says a transition once. */
static void become(kv_token *token, kv_token_state state, const kv_error *why)
{
    kv_token_state before = (kv_token_state)atomic_exchange(&token->state, (int)state);

    if (before == state ||
        (atomic_load(&token->quiet) && state != KV_TOKEN_DOWN && before != KV_TOKEN_DOWN))
        return;
    kv_log_write(token->log, state == KV_TOKEN_UP ? KV_LOG_INFO : KV_LOG_WARNING,
                 state_names[state],
                 (kv_log_field[]){ { "token", token->label, 0 },
                                   { "why", why ? why->message : "", 0 },
                                   { "detail", why ? why->detail : "", 0 },
                                   { 0 } });
}

static void want(kv_supervisor *supervisor)
{
    pthread_mutex_lock(&supervisor->mutex);
    supervisor->wanted = true;
    pthread_cond_signal(&supervisor->changed);
    pthread_mutex_unlock(&supervisor->mutex);
}

void kv_token_suspect(kv_token *token)
{
    kv_supervisor *supervisor = token->watch;
    int up = KV_TOKEN_UP;

    if (!supervisor || !atomic_compare_exchange_strong(&token->state, &up, KV_TOKEN_SUSPECT))
        return;
    if (!atomic_load(&token->quiet))
        kv_log_write(token->log, KV_LOG_WARNING, state_names[KV_TOKEN_SUSPECT],
                     (kv_log_field[]){ { "token", token->label, 0 }, { 0 } });
    want(supervisor);
}

/* The module is finalised and the gate closed. Leaves in each token how its start went. */
static void start_again(kv_supervisor *supervisor)
{
    kv_error why = { 0 };
    kv_status status;

    /* What cannot be restored has said so; it does not start, and the others do. */
    if (kv_token_keep_restore(supervisor->keep, &why) != KV_OK)
        why = (kv_error){ 0 };
    status = kv_module_start(supervisor->module, &why);
    for (size_t i = 0; i < supervisor->count; i++) {
        kv_token *token = supervisor->tokens[i];

        token->trouble = why;
        if (status == KV_OK && kv_token_start(token, &token->trouble) == KV_OK)
            token->trouble = (kv_error){ 0 };
    }
}

/* Says who is up again; nobody is before the gate is open, or the first callers would be refused.
 */
static kv_status announce(kv_supervisor *supervisor, kv_error *err)
{
    kv_status first = KV_OK;

    for (size_t i = 0; i < supervisor->count; i++) {
        kv_token *token = supervisor->tokens[i];
        bool up = token->trouble.status == KV_OK;

        if (!up && first == KV_OK) {
            *err = token->trouble;
            first = err->status;
        }
        become(token, up ? KV_TOKEN_UP : KV_TOKEN_DOWN, up ? NULL : &token->trouble);
    }
    return first;
}

kv_status kv_supervisor_recover(kv_supervisor *supervisor, unsigned wait_ms, kv_error *err)
{
    kv_status status;

    pthread_mutex_lock(&supervisor->recovering);
    status = kv_module_clear(supervisor->module, wait_ms, err);
    if (status == KV_OK) {
        kv_module_stop(supervisor->module);
        start_again(supervisor);
        kv_module_readmit(supervisor->module);
        status = announce(supervisor, err);
    }
    pthread_mutex_unlock(&supervisor->recovering);
    return status;
}

/* The probe says that nothing is wrong. True: that has been said too often, reinitialise. */
static bool doubtful(kv_token *token)
{
    kv_token_doubts *doubts = &token->doubts;
    int64_t now_us = kv_monotonic_us();

    if (now_us - doubts->since_us > (int64_t)DOUBT_WINDOW_MS * 1000) {
        doubts->since_us = now_us;
        doubts->count = 0;
        atomic_store(&token->quiet, false);
        if (now_us > doubts->patient_until_us + (int64_t)doubts->patience_ms * 1000)
            doubts->patience_ms = 0;
    }
    if (++doubts->count == DOUBTS_QUIET) {
        kv_log_write(token->log, KV_LOG_WARNING, "token.doubtful",
                     (kv_log_field[]){ { "token", token->label, 0 }, { 0 } });
        atomic_store(&token->quiet, true);
    }
    if (doubts->count < DOUBTS_MOST || now_us < doubts->patient_until_us)
        return false;
    doubts->count = 0;
    doubts->patience_ms = doubts->patience_ms ? 2 * doubts->patience_ms : PATIENCE_FIRST_MS;
    if (doubts->patience_ms > PATIENCE_MAX_MS)
        doubts->patience_ms = PATIENCE_MAX_MS;
    doubts->patient_until_us = now_us + (int64_t)doubts->patience_ms * 1000;
    return true;
}

/* Reinitialising is worth a trial only when it can end well. A disk that is full fails whatever
 * makes objects, and then nobody could log in again. */
static bool may_start_again(const kv_supervisor *supervisor, kv_token *token)
{
    return doubtful(token) && kv_token_keep_has_room(supervisor->keep);
}

/* A probe that fails while somebody reinitialises the module says nothing about the token. */
static void judge(kv_supervisor *supervisor, kv_token *token)
{
    uint64_t generation = atomic_load(&supervisor->module->generation);
    bool suspected = atomic_load(&token->state) == KV_TOKEN_SUSPECT;
    kv_error err = { 0 };
    bool good = kv_token_probe(token, &err) == KV_OK;

    if (good && suspected && may_start_again(supervisor, token)) {
        kv_fail(&err, KV_UNAVAILABLE, "operations fail although the token answers");
        become(token, KV_TOKEN_DOWN, &err);
    } else if (good)
        become(token, KV_TOKEN_UP, NULL);
    else if (!atomic_load(&supervisor->module->stopping) &&
             generation == atomic_load(&supervisor->module->generation))
        become(token, KV_TOKEN_DOWN, &err);
}

/* Reinitialising may help: its PIN is good, and its files, if it has any, are where they were. */
static bool can_come_back(const kv_token *token)
{
    return !atomic_load(&token->pin_refused) && kv_token_files_there(&token->files);
}

/* Probes whoever is not known to be down; true when one is that reinitialising may help: while a
 * call does not come back, nothing does. */
static bool look(kv_supervisor *supervisor, bool *others_up)
{
    bool down = false;
    bool hung = false;

    *others_up = false;
    for (size_t i = 0; i < supervisor->count; i++) {
        kv_token *token = supervisor->tokens[i];

        if (atomic_load(&token->hung)) {
            hung = true;
            continue;
        }
        if (atomic_load(&token->state) != KV_TOKEN_DOWN)
            judge(supervisor, token);
        if (atomic_load(&token->state) == KV_TOKEN_UP)
            *others_up = true;
        else if (atomic_load(&token->state) == KV_TOKEN_DOWN && can_come_back(token))
            down = true;
    }
    return down && !hung;
}

static unsigned shortest_probe_ms(const kv_supervisor *supervisor)
{
    unsigned shortest = supervisor->tokens[0]->probe_ms;

    for (size_t i = 1; i < supervisor->count; i++)
        if (supervisor->tokens[i]->probe_ms < shortest)
            shortest = supervisor->tokens[i]->probe_ms;
    return shortest;
}

/* False when it is time to stop. While something is down nobody can make it more urgent. */
static bool pause_for(kv_supervisor *supervisor, unsigned ms, bool wakeable)
{
    kv_deadline deadline = kv_deadline_in_ms(ms);
    bool go_on;
    int result = 0;

    pthread_mutex_lock(&supervisor->mutex);
    while (!supervisor->stop && !(wakeable && supervisor->wanted) && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&supervisor->changed, &supervisor->mutex, &deadline.at);
    supervisor->wanted = false;
    go_on = !supervisor->stop;
    pthread_mutex_unlock(&supervisor->mutex);
    return go_on;
}

/* Soon at a steady pace, so that an operator who has mended something does not wait. But trying
 * disturbs the module's healthy tokens while it lasts: they keep most of the time. */
static unsigned longer(const kv_supervisor *supervisor, unsigned back_off, bool others_up)
{
    unsigned most = supervisor->took_ms * (others_up ? SHARE_OTHERS_UP : SHARE_ALONE);

    if (back_off == 0)
        return BACK_OFF_FIRST_MS;
    if (most < BACK_OFF_MOST_MS)
        most = BACK_OFF_MOST_MS;
    if (most > BACK_OFF_SLOW_MS)
        most = BACK_OFF_SLOW_MS;
    return back_off > most / 2 ? most : 2 * back_off;
}

/* True when the tokens could be started. */
static bool bring_back(kv_supervisor *supervisor)
{
    int64_t began_us = kv_monotonic_us();
    kv_error ignored = { 0 }; /* each token has said what is wrong with it */
    bool good = kv_supervisor_recover(supervisor, WAIT_MS, &ignored) == KV_OK;

    supervisor->took_ms = (unsigned)((kv_monotonic_us() - began_us) / 1000);
    return good;
}

static void *watch(void *context)
{
    kv_supervisor *supervisor = context;
    unsigned back_off = 0;
    bool others_up, down;

    while (pause_for(supervisor, back_off ? back_off : shortest_probe_ms(supervisor), !back_off)) {
        down = look(supervisor, &others_up);
        if (down && bring_back(supervisor))
            down = look(supervisor, &others_up);
        back_off = down ? longer(supervisor, back_off, others_up) : 0;
    }
    for (size_t i = 0; i < supervisor->count; i++)
        kv_token_thread_end(supervisor->tokens[i]);
    return NULL;
}

/* --- the watchdog --- */

static void watch_over(kv_supervisor *supervisor, kv_token *token)
{
    bool overdue = kv_token_overdue(token, kv_monotonic_us());
    kv_error why = { 0 };

    if (overdue) {
        kv_fail(&why, KV_UNAVAILABLE, "a call of the PKCS#11 module has not come back for %u s",
                token->hang_ms / 1000);
        atomic_store(&token->hung, true);
        become(token, KV_TOKEN_DOWN, &why);
    } else if (atomic_load(&token->hung)) {
        atomic_store(&token->hung, false);
        become(token, KV_TOKEN_SUSPECT, NULL);
        want(supervisor);
    }
}

static void *watchdog(void *context)
{
    kv_supervisor *supervisor = context;
    bool stop = false;

    while (!stop) {
        kv_deadline deadline = kv_deadline_in_ms(WATCH_MS);
        int result = 0;

        for (size_t i = 0; i < supervisor->count; i++)
            watch_over(supervisor, supervisor->tokens[i]);
        pthread_mutex_lock(&supervisor->mutex);
        while (!supervisor->stop && result != ETIMEDOUT)
            result = pthread_cond_timedwait(&supervisor->ended, &supervisor->mutex, &deadline.at);
        stop = supervisor->stop;
        pthread_mutex_unlock(&supervisor->mutex);
    }
    return NULL;
}

/* The process of an isolated module has ended. */
static void process_ended(void *context)
{
    kv_supervisor *supervisor = context;

    for (size_t i = 0; i < supervisor->count; i++)
        kv_token_suspect(supervisor->tokens[i]);
}

static void dispose(kv_supervisor *supervisor)
{
    if (supervisor->module->isolated)
        kv_isolated_when_ended(supervisor->module->isolated, NULL, NULL);
    for (size_t i = 0; i < supervisor->count; i++)
        supervisor->tokens[i]->watch = NULL;
    pthread_cond_destroy(&supervisor->changed);
    pthread_cond_destroy(&supervisor->ended);
    pthread_mutex_destroy(&supervisor->mutex);
    pthread_mutex_destroy(&supervisor->recovering);
    free(supervisor);
}

static void tell_to_stop(kv_supervisor *supervisor)
{
    pthread_mutex_lock(&supervisor->mutex);
    supervisor->stop = true;
    pthread_cond_signal(&supervisor->changed);
    pthread_cond_signal(&supervisor->ended);
    pthread_mutex_unlock(&supervisor->mutex);
}

static kv_status start_threads(kv_supervisor *supervisor, kv_error *err)
{
    if (pthread_create(&supervisor->watchdog, NULL, watchdog, supervisor) != 0)
        return kv_fail(err, KV_BUSY, "no thread for the supervisor of tokens");
    if (pthread_create(&supervisor->thread, NULL, watch, supervisor) != 0) {
        tell_to_stop(supervisor);
        pthread_join(supervisor->watchdog, NULL);
        return kv_fail(err, KV_BUSY, "no thread for the supervisor of tokens");
    }
    supervisor->watching = true;
    return KV_OK;
}

kv_status kv_supervisor_new(kv_module *module, kv_token **tokens, size_t count, kv_token_keep *keep,
                            bool watching, kv_supervisor **out, kv_error *err)
{
    kv_supervisor *supervisor = calloc(1, sizeof(*supervisor));
    pthread_condattr_t monotonic;
    kv_status status;

    if (!supervisor)
        return kv_fail(err, KV_BUSY, "out of memory");
    *supervisor =
        (kv_supervisor){ .module = module, .tokens = tokens, .count = count, .keep = keep };
    pthread_mutex_init(&supervisor->mutex, NULL);
    pthread_mutex_init(&supervisor->recovering, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&supervisor->changed, &monotonic);
    pthread_cond_init(&supervisor->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (size_t i = 0; i < count; i++)
        tokens[i]->watch = supervisor;
    status = watching ? start_threads(supervisor, err) : KV_OK;
    if (status != KV_OK) {
        dispose(supervisor);
        return status;
    }
    if (module->isolated)
        kv_isolated_when_ended(module->isolated, process_ended, supervisor);
    *out = supervisor;
    return KV_OK;
}

void kv_supervisor_free(kv_supervisor *supervisor)
{
    if (!supervisor)
        return;
    if (supervisor->watching) {
        tell_to_stop(supervisor);
        pthread_join(supervisor->thread, NULL);
        pthread_join(supervisor->watchdog, NULL);
    }
    dispose(supervisor);
}
