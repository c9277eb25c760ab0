/* supervisor.h - sees when a token of a module is in trouble, and brings it back.
 *
 * UP -> SUSPECT when an operation failed in a way that may be the token's fault -> probe -> UP, or
 * DOWN -> reinitialise the module with back-off -> UP. When operations go on failing while the
 * probe succeeds, the module is reinitialised as well, ever more seldom: a caller who finds a way
 * to make operations fail must not be able to keep everybody else out. Not while the tokens' disk
 * is full, which fails whatever makes objects: nobody could log in again.
 *
 * A second thread, the watchdog, never enters the module: it marks a token DOWN while a call does
 * not come back, and SUSPECT when it has. The module is left alone meanwhile.
 */
#pragma once

#include "pkcs11/token.h"
#include "pkcs11/token_keep.h"

typedef struct kv_supervisor kv_supervisor;

/* All but `out` are borrowed until kv_supervisor_free(); all tokens are of this module. Without
 * `watching` there are no threads, and only kv_supervisor_recover() does anything. */
kv_status kv_supervisor_new(kv_module *module, kv_token **tokens, size_t count, kv_token_keep *keep,
                            bool watching, kv_supervisor **out, kv_error *err) KV_MUST_USE;
/* Stops and joins the threads; afterwards nobody changes a token's state. */
void kv_supervisor_free(kv_supervisor *supervisor);

/* Reinitialises the module and starts its tokens. KV_TIMEOUT when somebody stays inside; else the
 * error of the first token that did not start, after all were tried. */
kv_status kv_supervisor_recover(kv_supervisor *supervisor, unsigned wait_ms,
                                kv_error *err) KV_MUST_USE;
