/* tls_trial.c - a thread that pairs a key with its certificate, and ends. */
#include "server/tls_trial.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "server/base/clock.h"

struct kv_tls_trial {
    kv_tls_key *key; /* borrowed */
    EVP_PKEY *public;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t ended;
    bool over;
    EVP_PKEY *pair; /* NULL: it failed */
    kv_error err;
};

static void *try(void *argument)
{
    kv_tls_trial *trial = argument;
    EVP_PKEY *pair = NULL;
    kv_error err = { 0 };
    kv_status status = kv_tls_key_pair(trial->key, trial->public, &pair, &err);

    pthread_mutex_lock(&trial->mutex);
    trial->pair = status == KV_OK ? pair : NULL;
    trial->err = err;
    trial->over = true;
    pthread_cond_signal(&trial->ended);
    pthread_mutex_unlock(&trial->mutex);
    return NULL;
}

static void release(kv_tls_trial *trial)
{
    EVP_PKEY_free(trial->public);
    (void)pthread_cond_destroy(&trial->ended);
    (void)pthread_mutex_destroy(&trial->mutex);
    free(trial);
}

kv_status kv_tls_trial_start(kv_tls_key *key, EVP_PKEY *public, kv_tls_trial **out, kv_error *err)
{
    kv_tls_trial *trial = calloc(1, sizeof(*trial));
    pthread_condattr_t steady;

    if (!trial || !EVP_PKEY_up_ref(public)) {
        free(trial);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    trial->key = key;
    trial->public = public;
    (void)pthread_condattr_init(&steady);
    (void)pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&trial->ended, &steady);
    (void)pthread_condattr_destroy(&steady);
    (void)pthread_mutex_init(&trial->mutex, NULL);
    if (pthread_create(&trial->thread, NULL, try, trial) != 0) {
        release(trial);
        return kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
    }
    *out = trial;
    return KV_OK;
}

bool kv_tls_trial_over(kv_tls_trial *trial, unsigned ms)
{
    int64_t until_us = kv_monotonic_us() + (int64_t)ms * 1000;
    struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    bool over;

    pthread_mutex_lock(&trial->mutex);
    while (!trial->over && !pthread_cond_timedwait(&trial->ended, &trial->mutex, &until))
        ;
    over = trial->over;
    pthread_mutex_unlock(&trial->mutex);
    return over;
}

kv_status kv_tls_trial_take(kv_tls_trial *trial, EVP_PKEY **out, kv_error *err)
{
    EVP_PKEY *pair;

    (void)pthread_join(trial->thread, NULL);
    pair = trial->pair;
    if (!pair)
        *err = trial->err;
    release(trial);
    if (!pair)
        return err->status;
    *out = pair;
    return KV_OK;
}
