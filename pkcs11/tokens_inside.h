/* tokens_inside.h - what tls_key.c needs to know of kv_tokens. */
#pragma once

#include "pkcs11/module.h"
#include "pkcs11/tokens.h"

/* Borrowed; NULL when none of the tokens is of that module. */
kv_module *kv_tokens_module(const kv_tokens *tokens, const char *path);

/* `bury(what)` is called once the modules are finalised: for what must not be taken down while they
 * are in use. Falls back to never when out of memory. */
void kv_tokens_bury(kv_tokens *tokens, void (*bury)(void *what), void *what);
