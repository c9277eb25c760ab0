/* signals.c - a thread that does nothing but wait for signals, and for the end. */
#include "server/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/base/clock.h"

enum { GRACE_SECONDS = 60 };

struct kv_signals {
    kv_log *log; /* borrowed */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    unsigned grace_seconds;
    bool stop;
    bool reload;
    bool over; /* the thread is no longer needed */
};

static void awaited(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
}

/* False when it is time to end, in one way or the other. */
static bool note(kv_signals *signals, int signal)
{
    bool go_on;

    pthread_mutex_lock(&signals->mutex);
    if (signal == SIGHUP)
        signals->reload = true;
    else
        signals->stop = true;
    go_on = !signals->stop && !signals->over;
    pthread_cond_signal(&signals->changed);
    pthread_mutex_unlock(&signals->mutex);
    return go_on;
}

static bool is_over(kv_signals *signals)
{
    bool over;

    pthread_mutex_lock(&signals->mutex);
    over = signals->over;
    pthread_mutex_unlock(&signals->mutex);
    return over;
}

static unsigned grace_of(kv_signals *signals)
{
    unsigned seconds;

    pthread_mutex_lock(&signals->mutex);
    seconds = signals->grace_seconds;
    pthread_mutex_unlock(&signals->mutex);
    return seconds;
}

_Noreturn static void force(kv_signals *signals, unsigned grace_seconds)
{
    kv_log_write(signals->log, KV_LOG_ERROR, "server.stop_forced",
                 (kv_log_field[]){ { "after_seconds", NULL, grace_seconds }, { 0 } });
    _exit(EXIT_FAILURE);
}

/* Signals that come now wake it, and say nothing new. */
static void await_end(kv_signals *signals, const sigset_t *set)
{
    unsigned grace_seconds = grace_of(signals);
    kv_deadline until = kv_deadline_in_ms((int64_t)grace_seconds * 1000);

    while (!is_over(signals)) {
        int64_t left_ms = kv_deadline_left_ms(until);
        struct timespec left = { .tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000 };

        if (kv_deadline_passed(until))
            force(signals, grace_seconds);
        (void)sigtimedwait(set, NULL, &left);
    }
}

static void *listen(void *argument)
{
    kv_signals *signals = argument;
    sigset_t set;
    int signal = 0;

    awaited(&set);
    do
        (void)sigwait(&set, &signal);
    while (note(signals, signal));
    await_end(signals, &set);
    return NULL;
}

static void release(kv_signals *signals)
{
    (void)pthread_cond_destroy(&signals->changed);
    (void)pthread_mutex_destroy(&signals->mutex);
    free(signals);
}

kv_status kv_signals_start(kv_log *log, kv_signals **out, kv_error *err)
{
    kv_signals *signals = calloc(1, sizeof(*signals));
    sigset_t set;

    if (!signals)
        return kv_fail(err, KV_BUSY, "out of memory");
    *signals = (kv_signals){ .log = log, .grace_seconds = GRACE_SECONDS };
    (void)pthread_mutex_init(&signals->mutex, NULL);
    (void)pthread_cond_init(&signals->changed, NULL);
    awaited(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&signals->thread, NULL, listen, signals) != 0) {
        release(signals);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    *out = signals;
    return KV_OK;
}

void kv_signals_set_grace(kv_signals *signals, unsigned seconds)
{
    pthread_mutex_lock(&signals->mutex);
    signals->grace_seconds = seconds;
    pthread_mutex_unlock(&signals->mutex);
}

kv_signal kv_signals_wait(kv_signals *signals)
{
    kv_signal which;

    pthread_mutex_lock(&signals->mutex);
    while (!signals->stop && !signals->reload)
        pthread_cond_wait(&signals->changed, &signals->mutex);
    which = signals->stop ? KV_SIGNAL_STOP : KV_SIGNAL_RELOAD;
    signals->reload = false;
    pthread_mutex_unlock(&signals->mutex);
    return which;
}

bool kv_signals_stopping(kv_signals *signals)
{
    bool stop;

    pthread_mutex_lock(&signals->mutex);
    stop = signals->stop;
    pthread_mutex_unlock(&signals->mutex);
    return stop;
}

/* To the process, where nobody else takes it. */
void kv_signals_end(kv_signals *signals)
{
    (void)signals;
    (void)kill(getpid(), SIGTERM);
}

void kv_signals_free(kv_signals *signals)
{
    if (!signals)
        return;
    pthread_mutex_lock(&signals->mutex);
    signals->over = true;
    pthread_mutex_unlock(&signals->mutex);
    kv_signals_end(signals);
    (void)pthread_join(signals->thread, NULL);
    release(signals);
}
