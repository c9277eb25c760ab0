/* certificate_probe.h - which certificate does a program serve with? Threads: one. */
#pragma once

#include <openssl/x509.h>

#include "client/cli/run.h"

enum { KV_PROBE_NAME_BYTES = 256 };

/* From the options --probe, --probe-name and --probe-seconds. */
typedef struct kv_cli_probe {
    const char *where;              /* "host:port"; NULL: nobody is asked */
    char name[KV_PROBE_NAME_BYTES]; /* for SNI; "" for none */
    int seconds;
} kv_cli_probe;

/* KV_EXIT_USAGE for options that are none; what is wrong has been told. */
kv_exit kv_cli_probe_read(const kv_cli *cli, kv_cli_probe *out);
/* Connects by TLS, again and again for so many seconds, until this certificate is served: true. No
 * request is sent, and nothing but the certificate is looked at; whoever serves it has proved to
 * have its key. `why` tells what was seen last. */
enum { KV_PROBE_WHY_BYTES = 256 };
bool kv_cli_probe_serves(const kv_cli_probe *probe, X509 *leaf, int seconds,
                         char why[KV_PROBE_WHY_BYTES]);
