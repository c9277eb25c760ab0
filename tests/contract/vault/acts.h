/* acts.h - what tests of the vault do over and over, in one line each.
 *
 * Every act is one call with its audit record. Outs may be NULL; their slices live until
 * HOUSE_JOBS more acts.
 */
#pragma once

#include "tests/contract/vault/house.h"

kv_target act_target(kv_collection collection, const char *name);

/* All in the vault "shop". */
#define ACT_VAULT "shop"

kv_status act_make_vault(house *h, kv_error *err) KV_MUST_USE;
/* Before and after a test of cmocka: a house with that vault is its state. */
int act_start(void **state);
int act_start_softhsm(void **state);
int act_stop(void **state);
/* P-256. */
kv_status act_make_key(house *h, const char *name, kv_key_bundle *out, kv_error *err) KV_MUST_USE;
kv_status act_sign(house *h, const char *name, kv_slice version, kv_error *err) KV_MUST_USE;
kv_status act_set_secret(house *h, const char *name, kv_slice value, kv_secret_bundle *out,
                         kv_error *err) KV_MUST_USE;
kv_status act_get_secret(house *h, const char *name, kv_slice version, kv_secret_bundle *out,
                         kv_error *err) KV_MUST_USE;
/* P-256, content type PEM, subject CN=<name>. */
kv_status act_make_certificate(house *h, const char *name, const char *issuer, bool exportable,
                               kv_certificate_operation *out, kv_error *err) KV_MUST_USE;
/* P-256, exportable, with its key in one PEM file. */
kv_status act_import_certificate(house *h, const char *name, kv_error *err) KV_MUST_USE;
/* Signs a request under an authority that lives for this call, with alternative names ("DNS:a") or
 * NULL. DER, for OPENSSL_free(). */
uint8_t *act_certify(kv_slice csr, const char *alternative, int *len) KV_MUST_USE;
/* The same with dates of one's own, seconds since the Unix epoch. */
uint8_t *act_certify_for(kv_slice csr, const char *alternative, int64_t from_s, int64_t until_s,
                         int *len) KV_MUST_USE;
/* What an authority makes of the waiting request; a new certificate each time. */
kv_status act_merge(house *h, const char *name, kv_error *err) KV_MUST_USE;
kv_status act_merge_named(house *h, const char *name, const char *alternative,
                          kv_error *err) KV_MUST_USE;
/* The next version, by the stored policy. */
kv_status act_renew(house *h, const char *name, kv_certificate_operation *out,
                    kv_error *err) KV_MUST_USE;
kv_status act_delete(house *h, kv_collection collection, const char *name,
                     kv_error *err) KV_MUST_USE;
kv_status act_recover(house *h, kv_collection collection, const char *name,
                      kv_error *err) KV_MUST_USE;
kv_status act_purge(house *h, kv_collection collection, const char *name,
                    kv_error *err) KV_MUST_USE;
/* The backup is in the act's memory. */
kv_status act_backup(house *h, kv_collection collection, const char *name, kv_backup *out,
                     kv_error *err) KV_MUST_USE;
kv_status act_restore(house *h, kv_collection collection, kv_slice backup,
                      kv_error *err) KV_MUST_USE;
kv_status act_delete_vault(house *h, kv_error *err) KV_MUST_USE;
kv_status act_purge_vault(house *h, kv_error *err) KV_MUST_USE;
