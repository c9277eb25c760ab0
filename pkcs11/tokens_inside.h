/* tokens_inside.h - what tls_key.c needs to know of kv_tokens. */
#pragma once

#include "pkcs11/module.h"
#include "pkcs11/tokens.h"

/* Borrowed; NULL when none of the tokens is of that module. */
kv_module *kv_tokens_module(const kv_tokens *tokens, const char *path);
