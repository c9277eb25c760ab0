/* softhsm.h - throw-away SoftHSM tokens in a temporary folder, for everybody's tests.
 *
 *     kv_softhsm *hsm = kv_softhsm_new((const char *[]){ "keys", "system", NULL });
 *     kv_token_config config = kv_softhsm_config(hsm, KV_DUTY_KEYS, "keys");
 *     assert_kv_ok(kv_tokens_open(&config, 1, NULL, &tokens, &err));
 *     ...
 *     kv_tokens_close(tokens);
 *     kv_softhsm_free(hsm);
 *
 * SoftHSM finds its folder by the environment variable SOFTHSM2_CONF, so a process can use one
 * kv_softhsm at a time. A program under test that is started inherits the variable, or is given
 * kv_softhsm_conf(). Call from main() or a fixture, before threads run. Everything here stops the
 * test with a message when it fails.
 */
#pragma once

#include "pkcs11/tokens.h"

#define KV_SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define KV_SOFTHSM_PIN    "1234-user"
#define KV_SOFTHSM_SO_PIN "5678-officer"

typedef struct kv_softhsm kv_softhsm;

/* One token per label; labels end with NULL. */
kv_softhsm *kv_softhsm_new(const char *const *labels);
/* Removes the folder and unsets SOFTHSM2_CONF. */
void kv_softhsm_free(kv_softhsm *hsm);

/* All borrowed from `hsm`. */
const char *kv_softhsm_dir(const kv_softhsm *hsm);  /* the temporary folder, for other files too */
const char *kv_softhsm_conf(const kv_softhsm *hsm); /* path of softhsm2.conf */
const char *kv_softhsm_tokens(const kv_softhsm *hsm); /* the folder of token folders (files_dir) */
/* A file of mode 0600 with the user PIN. */
const char *kv_softhsm_pin_file(const kv_softhsm *hsm);
const kv_secret_buf *kv_softhsm_pin(const kv_softhsm *hsm);

/* "pkcs11:token=<label>", and a complete configuration: lock, folders, exclusive; isolated when
 * KV_ISOLATED names keyvaultd, and with a module before SoftHSM that KV_TEST_MODULE names. Both
 * borrowed from `hsm`; at most 32 of each kind per kv_softhsm. */
const char *kv_softhsm_uri(kv_softhsm *hsm, const char *label);
kv_token_config kv_softhsm_config(kv_softhsm *hsm, kv_duty duty, const char *label);

/* Copies the token folders to `dir` (made) with a softhsm2.conf in it, for tools that look at a
 * copy; writes the path of that configuration to `conf` (PATH_MAX bytes). */
void kv_softhsm_copy(const kv_softhsm *hsm, const char *dir, char *conf);
