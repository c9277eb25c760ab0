/* verbs.c - everything kvctl can do. To add a verb, add a row to the table of its noun in
 * verbs_*.c; its help, manual and completion follow from it. */
#include "client/cli/verbs.h"

/* shape: table */
static const kv_cli_option global_options[] = {
    OWN("endpoint", "HOST:PORT,...", "the server; port 8443; then those that stand in for it"),
    OWN("server-name", "NAME", "what its certificate must say, if not the host"),
    OWN("ca", "FILE", "PEM with the CA that vouches for the server"),
    OWN("certificate", "FILE", "PEM with your client certificate"),
    OWN("key", "FILE", "PEM with its private key"),
    OWN("roles", "ROLE,...", "use these roles only; default: all you hold there"),
    OWN("scope", "SCOPE", "where you hold them: /vaults/v; default: as WhoAmI tells"),
    OWN("output", "json|table|tsv|csv", "form of the answer; default json (-o)"),
    OWN("query", "PATH", "print this part of the answer only: id.version"),
    OWN("timeout", "SECONDS", "how long a call may take; default 30"),
    OWN("idempotency-key", "KEY",
        "of a change: given again within a day, it is answered and not made again"),
    OWN("config", "FILE", "instead of ~/.config/keyvault/kvctl.conf"),
    OWN("profile", "NAME", "use the settings of [NAME] in kvctl.conf too"),
    SWITCH("help", "this text (-h)"),
    END,
};

const kv_cli_option *kv_cli_global_options(void)
{
    return global_options;
}

/* --- options that several verbs share --- */

const kv_cli_option kv_cli_no_options[] = { END };
const kv_cli_option kv_cli_of_vault[] = { VAULT, END };
const kv_cli_option kv_cli_of_name[] = { VAULT, NAME, END };
const kv_cli_option kv_cli_of_version[] = { VAULT, NAME, VERSION, END };
const kv_cli_option kv_cli_to_backup[] = { VAULT, NAME, FILE_OUT, OVERWRITE, END };
const kv_cli_option kv_cli_to_restore[] = {
    VAULT,
    OWN_NEED("file", "FILE", "the backup; - is standard input"),
    END,
};

/* --- the table, in the order of the help --- */

static const kv_cli_verb *const nouns[] = {
    kv_cli_verbs_vault,  kv_cli_verbs_certificate, kv_cli_verbs_authority, kv_cli_verbs_issuer,
    kv_cli_verbs_notify, kv_cli_verbs_key,         kv_cli_verbs_secret,    kv_cli_verbs_access,
    kv_cli_verbs_server, kv_cli_verbs_event,
};

const kv_cli_verb *kv_cli_verb_at(size_t index)
{
    for (size_t i = 0; i < KV_COUNT(nouns); i++) {
        for (const kv_cli_verb *row = nouns[i]; row->noun; row++) {
            if (!index--)
                return row;
        }
    }
    return NULL;
}

size_t kv_cli_verb_count(void)
{
    size_t count = 0;

    while (kv_cli_verb_at(count))
        count++;
    return count;
}
