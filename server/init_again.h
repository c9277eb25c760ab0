/* init_again.h - an initialisation that was interrupted can be run again.
 *
 * Until the identity is on the system token an installation is worth nothing. A mark in `home` says
 * that one was begun, and that there was neither database nor audit log before: with it, and only
 * with it, the next `init` clears away what the last one left.
 */
#pragma once

#include "pkcs11/tokens.h"
#include "server/settings.h"

#define KV_INIT_LABEL_SEAL  "keyvault seal"
#define KV_INIT_LABEL_AUDIT "keyvault audit"
#define KV_INIT_LABEL_TOKEN "keyvault role tokens"
#define KV_INIT_LABEL_TLS   "keyvault tls"

/* Before tokens are made or opened: puts back the file of a token that a kill at its login emptied,
 * and removes tokens that were killed in their creation (SoftHSM only). Else a second token of the
 * same name would be made beside the first. */
kv_status kv_init_mend_tokens(const kv_settings *settings, kv_error *err) KV_MUST_USE;
/* Before anything is made, on tokens without an identity. KV_EXISTS when database or audit log are
 * there and no mark. */
kv_status kv_init_begin(const kv_settings *settings, kv_tokens *tokens, kv_error *err) KV_MUST_USE;
/* The installation is whole: the mark goes. Also for a server that starts. */
void kv_init_done(const kv_settings *settings);
