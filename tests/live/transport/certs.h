/* certs.h - a CA, a server and clients, made by OpenSSL for one test run.
 *
 * Threads: one.
 */
#pragma once

#include <openssl/x509.h>

typedef struct kv_test_certs {
    char folder[128];
    char ca[160], server[160], server_key[160];
    char client[160], client_key[160];   /* P-256, clientAuth */
    char weak[160], weak_key[160];       /* RSA 1024 */
    char usage[160], usage_key[160];     /* serverAuth only */
    char foreign[160], foreign_key[160]; /* self-signed by nobody we know; good key */
} kv_test_certs;

/* Writes PEM files into a new folder under TMPDIR. Ends the program when that fails. */
void kv_test_certs_make(kv_test_certs *certs);
void kv_test_certs_remove(const kv_test_certs *certs);
