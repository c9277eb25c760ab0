/* importing.h - what the tests of imports have in common. */
#pragma once

#include "server/x509/import.h"
#include "tests/unit/x509/pki.h"

int importing_set_up(void **state);
int importing_tear_down(void **state);

kv_x509_import_in importing(kv_slice value, const char *password);
/* The leaf's key and the first `chain` certificates of leaf, CA and root come out. */
void importing_gives(pki *p, const kv_x509_import_in *in, size_t chain, bool complete);
/* KV_BAD_REQUEST with a message that has these words. */
void importing_fails(pki *p, const kv_x509_import_in *in, const char *field, const char *message);

kv_slice importing_join(pki *p, size_t count, const kv_slice *parts);
#define JOIN(p, ...)                                                          \
    importing_join(p, sizeof((kv_slice[]){ __VA_ARGS__ }) / sizeof(kv_slice), \
                   (kv_slice[]){ __VA_ARGS__ })

kv_slice importing_certificate(pki *p, kv_slice der);
kv_slice importing_key(pki *p);
/* The key, the leaf, the CA, the root. */
kv_slice importing_pem(pki *p);
/* What `openssl pkcs12 -export` makes of it, with more options (up to a NULL). */
kv_slice importing_pfx(pki *p, kv_slice pem, const char *password, const char *const *options);

#define IMPORT_TEST(name) \
    cmocka_unit_test_setup_teardown(name, importing_set_up, importing_tear_down)
