/* served.c - the same operation through libkeyvault: mutual TLS, authorised, audited, durable. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "client/keyvault.h"
#include "server/base/clock.h"
#include "tests/bench/speed/bench.h"

enum { PARALLEL_MOST = 1024, DIGEST_BYTES = 32 };

typedef struct run run;

/* One place in the number in flight. */
typedef struct place {
    run *run;
    int64_t since;
} place;

struct run {
    const bench_options *options;
    keyvault *handle;
    const char *path;
    const ProtobufCMessage *request;
    place places[PARALLEL_MOST];

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t idle;
    unsigned flying;
    int64_t end;
    bench_series series;
};

static void submit(place *at);

static void done(void *context, ProtobufCMessage *response, const keyvault_error *err)
{
    place *at = context;
    run *all = at->run;
    int64_t now = kv_monotonic_us();
    bool again;

    if (!response)
        bench_die(err->name, err->message);
    keyvault_message_free(response);
    pthread_mutex_lock(&all->mutex);
    bench_add(&all->series, now - at->since);
    again = now < all->end;
    if (!again && --all->flying == 0)
        pthread_cond_signal(&all->idle);
    pthread_mutex_unlock(&all->mutex);
    if (again)
        submit(at);
}

static void submit(place *at)
{
    keyvault_error err = { 0 };

    at->since = kv_monotonic_us();
    if (keyvault_submit(at->run->handle, at->run->path, at->run->request, done, at, NULL, &err) !=
        0)
        bench_die(err.name, err.message);
}

/* The first call connects and gets the role token; it is not measured. */
static void warm_up(run *all)
{
    keyvault_error err = { 0 };
    ProtobufCMessage *response = NULL;

    if (keyvault_call(all->handle, all->path, all->request, &response, NULL, &err) != 0)
        bench_die(err.name, err.message);
    keyvault_message_free(response);
}

static void measure(run *all, bench_series *out)
{
    int64_t start = kv_monotonic_us();
    unsigned count = all->options->parallel;

    all->end = start + (int64_t)(all->options->seconds * 1e6);
    all->flying = count;
    for (unsigned i = 0; i < count; i++) {
        all->places[i].run = all;
        submit(&all->places[i]);
    }
    pthread_mutex_lock(&all->mutex);
    while (all->flying)
        (void)pthread_cond_wait(&all->idle, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
    *out = all->series;
    out->seconds = (double)(kv_monotonic_us() - start) / 1e6;
}

void bench_served(const bench_options *options, bench_series *out)
{
    static run all = { .mutex = PTHREAD_MUTEX_INITIALIZER, .idle = PTHREAD_COND_INITIALIZER };
    keyvault_config config = { .endpoint = options->endpoint,
                               .ca_path = options->ca,
                               .certificate_path = options->certificate,
                               .key_path = options->key };
    Keyvault__V1__SignRequest sign = KEYVAULT__V1__SIGN_REQUEST__INIT;
    Keyvault__V1__GetSecretRequest secret = KEYVAULT__V1__GET_SECRET_REQUEST__INIT;
    Keyvault__V1__GetCertificateRequest certificate = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__INIT;
    uint8_t digest[DIGEST_BYTES] = { 1 };
    char *vault = (char *)(uintptr_t)options->vault;
    char *name = (char *)(uintptr_t)options->name;
    keyvault_error err = { 0 };

    if (options->parallel > PARALLEL_MOST)
        bench_die("parallel", "too many");
    sign.vault = secret.vault = certificate.vault = vault;
    sign.name = secret.name = certificate.name = name;
    certificate.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME;
    sign.algorithm = options->what == BENCH_P256
                         ? KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES256
                         : KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS256;
    sign.input_case = KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST;
    sign.digest = (ProtobufCBinaryData){ .data = digest, .len = sizeof(digest) };

    all.options = options;
    all.path = "/keyvault.v1.KeyService/Sign";
    all.request = &sign.base;
    if (options->what == BENCH_SECRET) {
        all.path = "/keyvault.v1.SecretService/GetSecret";
        all.request = &secret.base;
    } else if (options->what == BENCH_CERTIFICATE) {
        all.path = "/keyvault.v1.CertificateService/GetCertificate";
        all.request = &certificate.base;
    }
    if (keyvault_open(&config, &all.handle, &err) != 0)
        bench_die(err.name, err.message);
    warm_up(&all);
    measure(&all, out);
    keyvault_close(all.handle);
}
