/* served.c - the same operation through libkeyvault: mutual TLS, authorised, audited, durable. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/keyvault.h"
#include "server/base/clock.h"
#include "tests/bench/speed/bench.h"

enum { PARALLEL_MOST = 1024, CONNECTIONS_MOST = 64, NAME_BYTES = 96 };

typedef struct run run;

/* One place in the number in flight: a request of its own, for its name may change. */
typedef struct place {
    run *run;
    keyvault *handle; /* borrowed */
    int64_t since;
    char name[NAME_BYTES];
    union {
        ProtobufCMessage base;
        Keyvault__V1__SignRequest sign;
        Keyvault__V1__EncryptRequest encrypt;
        Keyvault__V1__GetSecretRequest secret;
        Keyvault__V1__GetCertificateRequest certificate;
        Keyvault__V1__CreateKeyRequest create;
    } request;
} place;

struct run {
    const bench_options *options;
    const char *path;
    keyvault *handles[CONNECTIONS_MOST];
    place places[PARALLEL_MOST];
    uint8_t data[BENCH_GCM_BYTES];

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t idle;
    unsigned flying;
    uint64_t begun; /* calls */
    uint64_t most;  /* no more than that */
    int64_t end;
    bench_series series;
};

static void submit(place *at);

/* With the mutex held. The next name, when there are several. */
static void choose_name(place *at)
{
    const bench_options *options = at->run->options;
    uint64_t number = at->run->begun++;

    if (options->what == BENCH_CREATE && !options->names)
        (void)snprintf(at->name, sizeof(at->name), "%s-%llx-%llu", options->name,
                       (unsigned long long)at->run->end, (unsigned long long)number);
    else if (options->names)
        (void)snprintf(at->name, sizeof(at->name), "%s-%llu", options->name,
                       (unsigned long long)(number % options->names) + 1);
}

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
    again = now < all->end && all->begun < all->most;
    if (again)
        choose_name(at);
    else if (--all->flying == 0)
        pthread_cond_signal(&all->idle);
    pthread_mutex_unlock(&all->mutex);
    if (again)
        submit(at);
}

static void submit(place *at)
{
    keyvault_error err = { 0 };

    at->since = kv_monotonic_us();
    if (keyvault_submit(at->handle, at->run->path, &at->request.base, done, at, NULL, &err) != 0)
        bench_die(err.name, err.message);
}

static Keyvault__V1__SignatureAlgorithm algorithm_of(bench_what what)
{
    switch (what) {
    case BENCH_P384:
        return KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES384;
    case BENCH_RSA2048:
    case BENCH_RSA4096:
        return KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS256;
    case BENCH_ED25519:
        return KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_EDDSA;
    case BENCH_P256:
    case BENCH_GCM:
    case BENCH_SECRET:
    case BENCH_CERTIFICATE:
    case BENCH_CREATE:
    case BENCH_WHAT_COUNT:
        break;
    }
    return KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES256;
}

static const char *fill_sign(place *at, char *vault)
{
    Keyvault__V1__SignRequest *request = &at->request.sign;
    bench_what what = at->run->options->what;
    ProtobufCBinaryData data = { .data = at->run->data, .len = bench_digest_len(what) };

    keyvault__v1__sign_request__init(request);
    request->vault = vault;
    request->name = at->name;
    request->algorithm = algorithm_of(what);
    request->input_case = what == BENCH_ED25519 ? KEYVAULT__V1__SIGN_REQUEST__INPUT_MESSAGE
                                                : KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST;
    if (what == BENCH_ED25519)
        request->message = data;
    else
        request->digest = data;
    return "/keyvault.v1.KeyService/Sign";
}

static const char *fill_encrypt(place *at, char *vault)
{
    Keyvault__V1__EncryptRequest *request = &at->request.encrypt;

    keyvault__v1__encrypt_request__init(request);
    request->vault = vault;
    request->name = at->name;
    request->algorithm = KEYVAULT__V1__ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_A256GCM;
    request->plaintext = (ProtobufCBinaryData){ .data = at->run->data, .len = BENCH_GCM_BYTES };
    return "/keyvault.v1.KeyService/Encrypt";
}

static const char *fill_secret(place *at, char *vault)
{
    keyvault__v1__get_secret_request__init(&at->request.secret);
    at->request.secret.vault = vault;
    at->request.secret.name = at->name;
    return "/keyvault.v1.SecretService/GetSecret";
}

static const char *fill_certificate(place *at, char *vault)
{
    keyvault__v1__get_certificate_request__init(&at->request.certificate);
    at->request.certificate.vault = vault;
    at->request.certificate.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME;
    at->request.certificate.name = at->name;
    return "/keyvault.v1.CertificateService/GetCertificate";
}

static const char *fill_create(place *at, char *vault)
{
    keyvault__v1__create_key_request__init(&at->request.create);
    at->request.create.vault = vault;
    at->request.create.name = at->name;
    at->request.create.kty = KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC;
    at->request.create.crv = KEYVAULT__V1__CURVE__CURVE_P256;
    return "/keyvault.v1.KeyService/CreateKey";
}

/* Gives the method's path. */
static const char *fill_request(place *at)
{
    char *vault = (char *)(uintptr_t)at->run->options->vault;

    switch (at->run->options->what) {
    case BENCH_GCM:
        return fill_encrypt(at, vault);
    case BENCH_SECRET:
        return fill_secret(at, vault);
    case BENCH_CERTIFICATE:
        return fill_certificate(at, vault);
    case BENCH_CREATE:
        return fill_create(at, vault);
    case BENCH_P256:
    case BENCH_P384:
    case BENCH_RSA2048:
    case BENCH_RSA4096:
    case BENCH_ED25519:
    case BENCH_WHAT_COUNT:
        break;
    }
    return fill_sign(at, vault);
}

static void fill_places(run *all)
{
    const bench_options *options = all->options;

    for (unsigned i = 0; i < options->parallel; i++) {
        place *at = &all->places[i];

        at->run = all;
        at->handle = all->handles[i % options->connections];
        (void)snprintf(at->name, sizeof(at->name), "%s", options->name);
        all->path = fill_request(at);
    }
}

static void fly(run *all, int64_t start)
{
    unsigned count = all->options->parallel;

    if (all->most - all->begun < count)
        count = (unsigned)(all->most - all->begun);
    all->end = start + (int64_t)(all->options->seconds * 1e6);
    all->flying = count;
    for (unsigned i = 0; i < count; i++) {
        pthread_mutex_lock(&all->mutex);
        choose_name(&all->places[i]);
        pthread_mutex_unlock(&all->mutex);
        submit(&all->places[i]);
    }
    pthread_mutex_lock(&all->mutex);
    while (all->flying)
        (void)pthread_cond_wait(&all->idle, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
}

/* The first calls connect, get the role token and make the server look at the key: they are not
 * measured. */
static void warm_up(run *all)
{
    keyvault_error err = { 0 };

    for (unsigned i = 0; i < all->options->connections && i < all->options->parallel; i++) {
        place *at = &all->places[i];
        ProtobufCMessage *response = NULL;

        choose_name(at);
        if (keyvault_call(at->handle, all->path, &at->request.base, &response, NULL, &err) != 0)
            bench_die(err.name, err.message);
        keyvault_message_free(response);
    }
}

static void measure(run *all, bench_series *out)
{
    int64_t start = kv_monotonic_us();
    double cpu = bench_cpu_us(), server = bench_cpu_us_of(all->options->server);

    fly(all, start);
    *out = all->series;
    out->seconds = (double)(kv_monotonic_us() - start) / 1e6;
    out->cpu_us = bench_cpu_us() - cpu;
    out->server_us = bench_cpu_us_of(all->options->server) - server;
}

static void open_handles(run *all)
{
    const bench_options *options = all->options;
    keyvault_config config = { .endpoint = options->endpoint,
                               .ca_path = options->ca,
                               .certificate_path = options->certificate,
                               .key_path = options->key };
    keyvault_error err = { 0 };

    if (options->parallel > PARALLEL_MOST || options->connections > CONNECTIONS_MOST)
        bench_die("parallel", "too many");
    for (unsigned i = 0; i < options->connections; i++)
        if (keyvault_open(&config, &all->handles[i], &err) != 0)
            bench_die(err.name, err.message);
}

static run *begin(const bench_options *options)
{
    run *all = calloc(1, sizeof(*all));

    if (!all)
        bench_die("memory", "exhausted");
    all->options = options;
    all->most = UINT64_MAX;
    all->data[0] = 1;
    (void)pthread_mutex_init(&all->mutex, NULL);
    (void)pthread_cond_init(&all->idle, NULL);
    open_handles(all);
    fill_places(all);
    return all;
}

static void finish(run *all)
{
    for (unsigned i = 0; i < all->options->connections; i++)
        keyvault_close(all->handles[i]);
    (void)pthread_cond_destroy(&all->idle);
    (void)pthread_mutex_destroy(&all->mutex);
    free(all);
}

/* Every name once. */
static void visit_names(run *all)
{
    if (!all->options->names)
        return;
    all->most = all->begun + all->options->names;
    fly(all, kv_monotonic_us() + (int64_t)3600 * 1000000);
    all->most = UINT64_MAX;
    free(all->series.values);
    all->series = (bench_series){ 0 };
}

void bench_served(const bench_options *options, bench_series *out)
{
    run *all = begin(options);

    warm_up(all);
    visit_names(all);
    measure(all, out);
    finish(all);
}

void bench_fill(const bench_options *options, bench_series *out)
{
    run *all = begin(options);

    all->most = options->names;
    measure(all, out);
    finish(all);
}
