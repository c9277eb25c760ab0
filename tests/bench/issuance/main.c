/* main.c - kv_bench_issuance OPTIONS: certificates from an issuer of a vault through libkeyvault,
 * one measurement, one line. scripts/bench_issuance.sh makes the table.
 *
 * Each place of those in flight has one certificate and orders its next version again and again:
 * with a key of its own for each (`new`), or with the first one (`same`).
 */
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/keyvault.h"
#include "server/base/clock.h"
#include "tests/bench/speed/bench.h"

#define CREATE "/keyvault.v1.CertificateService/CreateCertificate"

enum { PARALLEL_MOST = 256 };

static const char usage[] =
    "Usage: kv_bench_issuance --what ec|rsa --keys new|same --parallel N --seconds S\n"
    "                    --endpoint HOST:PORT --ca FILE --certificate FILE --key FILE\n"
    "                    --vault NAME --name ISSUER\n"
    "Prints: certificates a second, p50 and p99 in microseconds\n";

typedef struct run run;

/* One place in the number in flight. */
typedef struct place {
    run *run;
    int64_t since;
    char name[64];
    Keyvault__V1__CreateCertificateRequest request;
} place;

struct run {
    bench_options options;
    bool rsa, same;
    keyvault *handle;
    place places[PARALLEL_MOST];

    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t idle;
    unsigned flying;
    int64_t end;
    bench_series series;
};

static void submit(place *at);

static void check(const ProtobufCMessage *response)
{
    const Keyvault__V1__CertificateOperation *operation = (const void *)response;

    if (strcmp(operation->status, "completed") != 0)
        bench_die("the order", operation->error ? operation->error->message : operation->status);
}

static void done(void *context, ProtobufCMessage *response, const keyvault_error *err)
{
    place *at = context;
    run *all = at->run;
    int64_t now = kv_monotonic_us();
    bool again;

    if (!response)
        bench_die(err->name, err->message);
    check(response);
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
    if (keyvault_submit(at->run->handle, CREATE, &at->request.base, done, at, NULL, &err) != 0)
        bench_die(err.name, err.message);
}

/* The first version brings the policy; it is not measured. */
static void first(run *all, unsigned number)
{
    Keyvault__V1__CertificatePolicy policy = KEYVAULT__V1__CERTIFICATE_POLICY__INIT;
    Keyvault__V1__KeyProperties key = KEYVAULT__V1__KEY_PROPERTIES__INIT;
    Keyvault__V1__X509Properties props = KEYVAULT__V1__X509_PROPERTIES__INIT;
    Keyvault__V1__SubjectAlternativeNames sans = KEYVAULT__V1__SUBJECT_ALTERNATIVE_NAMES__INIT;
    Keyvault__V1__IssuerParameters issuer = KEYVAULT__V1__ISSUER_PARAMETERS__INIT;
    place *at = &all->places[number];
    ProtobufCMessage *response = NULL;
    keyvault_error err = { 0 };
    char host[96], subject[128];
    char *names[1] = { host };

    at->run = all;
    (void)snprintf(at->name, sizeof(at->name), "b-%ld-%u", (long)getpid(), number);
    (void)snprintf(host, sizeof(host), "%s.example.org", at->name);
    (void)snprintf(subject, sizeof(subject), "CN=%s", host);
    key.kty = all->rsa ? KEYVAULT__V1__KEY_TYPE__KEY_TYPE_RSA : KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC;
    key.has_reuse_key_case = KEYVAULT__V1__KEY_PROPERTIES__HAS_REUSE_KEY_REUSE_KEY;
    key.reuse_key = all->same;
    sans.n_dns_names = 1;
    sans.dns_names = names;
    props.subject = subject;
    props.sans = &sans;
    issuer.name = (char *)(uintptr_t)all->options.name;
    policy.key_props = &key;
    policy.x509_props = &props;
    policy.issuer = &issuer;
    keyvault__v1__create_certificate_request__init(&at->request);
    at->request.vault = (char *)(uintptr_t)all->options.vault;
    at->request.name = at->name;
    at->request.policy = &policy;
    if (keyvault_call(all->handle, CREATE, &at->request.base, &response, NULL, &err) != 0)
        bench_die(err.name, err.message);
    check(response);
    keyvault_message_free(response);
    at->request.policy = NULL;
}

static void measure(run *all)
{
    int64_t start;
    unsigned count = all->options.parallel;

    for (unsigned i = 0; i < count; i++)
        first(all, i);
    start = kv_monotonic_us();
    all->end = start + (int64_t)(all->options.seconds * 1e6);
    all->flying = count;
    for (unsigned i = 0; i < count; i++)
        submit(&all->places[i]);
    pthread_mutex_lock(&all->mutex);
    while (all->flying)
        (void)pthread_cond_wait(&all->idle, &all->mutex);
    pthread_mutex_unlock(&all->mutex);
    all->series.seconds = (double)(kv_monotonic_us() - start) / 1e6;
}

static bool take(run *all, int option)
{
    bench_options *to = &all->options;

    switch (option) {
    case 'w':
        all->rsa = !strcmp(optarg, "rsa");
        return true;
    case 'r':
        all->same = !strcmp(optarg, "same");
        return true;
    case 'p':
        to->parallel = (unsigned)strtoul(optarg, NULL, 10);
        return true;
    case 's':
        to->seconds = strtod(optarg, NULL);
        return true;
    case 'e':
        to->endpoint = optarg;
        return true;
    case 'a':
        to->ca = optarg;
        return true;
    case 'c':
        to->certificate = optarg;
        return true;
    case 'k':
        to->key = optarg;
        return true;
    case 'v':
        to->vault = optarg;
        return true;
    case 'n':
        to->name = optarg;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "what", required_argument, NULL, 'w' },
        { "keys", required_argument, NULL, 'r' },
        { "parallel", required_argument, NULL, 'p' },
        { "seconds", required_argument, NULL, 's' },
        { "endpoint", required_argument, NULL, 'e' },
        { "ca", required_argument, NULL, 'a' },
        { "certificate", required_argument, NULL, 'c' },
        { "key", required_argument, NULL, 'k' },
        { "vault", required_argument, NULL, 'v' },
        { "name", required_argument, NULL, 'n' },
        { 0 },
    };
    static run all = { .options = { .parallel = 1, .seconds = 1 },
                       .mutex = PTHREAD_MUTEX_INITIALIZER,
                       .idle = PTHREAD_COND_INITIALIZER };
    keyvault_config config;
    keyvault_error err = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take(&all, option)) {
            (void)fputs(usage, stderr);
            return 2;
        }
    if (!all.options.parallel || all.options.parallel > PARALLEL_MOST || !all.options.name)
        bench_die("--parallel, --name", "missing or too many");
    config = (keyvault_config){ .endpoint = all.options.endpoint,
                                .ca_path = all.options.ca,
                                .certificate_path = all.options.certificate,
                                .key_path = all.options.key };
    if (keyvault_open(&config, &all.handle, &err) != 0)
        bench_die(err.name, err.message);
    measure(&all);
    keyvault_close(all.handle);
    bench_print(&all.series);
    return 0;
}
