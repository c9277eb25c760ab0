/* token_keep.h - the files of all tokens of a configuration, looked after around the life of a
 * module: SoftHSM reads every token's folder when it is initialised, so all must be whole before.
 *
 * Threads: one at a time for restore; the rest any.
 */
#pragma once

#include "pkcs11/tokens.h"

typedef struct kv_token_keep kv_token_keep;

/* Copies what it needs. `log` is borrowed and may be NULL. */
kv_status kv_token_keep_new(const kv_token_config *configs, size_t count, kv_log *log,
                            kv_token_keep **out, kv_error *err) KV_MUST_USE;
void kv_token_keep_free(kv_token_keep *keep);

/* What kv_token_files_restore says, for each; all are tried, and the first error is returned. Logs
 * what was restored. While the module is not initialised. */
kv_status kv_token_keep_restore(kv_token_keep *keep, kv_error *err) KV_MUST_USE;
/* Could all of them be logged in to: a module that is finalised logs out of every token. */
bool kv_token_keep_has_room(const kv_token_keep *keep);
