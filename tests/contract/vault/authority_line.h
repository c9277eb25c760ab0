/* authority_line.h - three authorities, one below the other: "root", "tls", "team". */
#pragma once

#include "tests/contract/vault/acts.h"

enum { LINE_CHANGES_MAX = 60 /* no renewal needs more */ };

kv_target line_target(const char *name);
/* In a vault, on fake tokens. */
house *line_start(void);
/* `parent` NULL: a root; "": one that waits for its certificate from elsewhere. */
kv_status line_create(house *h, const char *name, const char *parent, kv_error *why) KV_MUST_USE;
kv_authority_bundle line_look(house *h, const char *name);
kv_status line_renew(house *h, const char *name, bool new_key, kv_error *why) KV_MUST_USE;
kv_status line_set_enabled(house *h, const char *name, bool enabled, kv_error *why) KV_MUST_USE;
/* "team" is below the certificate that "tls" has now and below all above that, which ends with the
 * root's: as it is now, or through what a new key made of the old one. */
bool line_chains_are_right(house *h);
/* How many authorities have chains below them that do not follow yet. */
unsigned line_owed(house *h);
/* The root is renewed by a server that ends before those below it follow, and another one has
 * started. */
void line_owe(house *h);
