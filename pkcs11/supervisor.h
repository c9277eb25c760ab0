/* supervisor.h - one thread per module that sees when a token is in trouble and brings it back.
 *
 * UP -> SUSPECT when an operation failed in a way that may be the token's fault -> probe -> UP, or
 * DOWN -> reinitialise the module with back-off -> UP. Only this thread changes DOWN.
 */
#pragma once

#include "pkcs11/token.h"

typedef struct kv_supervisor kv_supervisor;

/* `tokens` and `module` are borrowed until kv_supervisor_free(); all tokens are of this module. */
kv_status kv_supervisor_new(kv_module *module, kv_token **tokens, size_t count, kv_supervisor **out,
                            kv_error *err) KV_MUST_USE;
/* Stops and joins the thread; afterwards nobody changes a token's state. */
void kv_supervisor_free(kv_supervisor *supervisor);

/* Reinitialises the module and starts its tokens. KV_TIMEOUT when somebody stays inside; else the
 * error of the first token that did not start, after all were tried. */
kv_status kv_supervisor_recover(kv_supervisor *supervisor, unsigned wait_ms,
                                kv_error *err) KV_MUST_USE;
