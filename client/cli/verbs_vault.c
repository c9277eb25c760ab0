/* verbs_vault.c - what kvctl can do with vaults. */
#include "client/cli/verbs.h"

/* shape: table */
static const kv_cli_option vault_name[] = { NEED("name", "NAME", "vault", "name of the vault"),
                                            END };
#define VAULT_SETTINGS(tags)                                                           \
    NEED("name", "NAME", "vault", "3 to 24 of [0-9A-Za-z-], beginning with a letter"), \
        TEXT("retention-days", "DAYS", "retention_days",                               \
             "how long deleted objects can be recovered: 7 to 90"),                    \
        YES("purge-protection", "purge_protection",                                    \
            "nobody can purge before that; true is for ever"),                         \
        YES("default-exportable", "default_exportable",                                \
            "of certificate policies that do not say"),                                \
        YES("allow-unauthenticated-encryption", "allow_unauthenticated_encryption",    \
            "with the vault's keys: CBC and RSA1_5"),                                  \
        MANY("blackout", "WINDOW", "blackouts.windows",                                \
             "no certificate is renewed: 'Fri 18:00 - Mon 06:00', UTC; none"),         \
        TAGS(tags), END

/* shape: table */
static const kv_cli_option vault_create[] = { VAULT_SETTINGS("tags") };
/* shape: table */
static const kv_cli_option vault_update[] = { VAULT_SETTINGS("tags.items") };

#define VAULT_COLUMNS                                                                         \
    "NAME=name RETENTION=retentionDays PURGE-PROTECTION=purgeProtection CREATED=created:time" \
    " PURGED=deletion.scheduledPurgeDate:time"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_vault[] = {
    { "vault", "create", "make a vault", API "VaultService/CreateVault", vault_create,
      kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "show", "one vault", API "VaultService/GetVault", vault_name, kv_cli_run_call,
      VAULT_COLUMNS },
    { "vault", "list", "all vaults", API "VaultService/ListVaults", kv_cli_no_options,
      kv_cli_run_list, VAULT_COLUMNS },
    { "vault", "update", "change its settings", API "VaultService/UpdateVault", vault_update,
      kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "delete", "delete it with all in it; it can be recovered for its retention",
      API "VaultService/DeleteVault", vault_name, kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "list-deleted", "vaults that can be recovered",
      API "VaultService/ListDeletedVaults", kv_cli_no_options, kv_cli_run_list, VAULT_COLUMNS },
    { "vault", "recover", "bring back a deleted vault", API "VaultService/RecoverVault",
      vault_name, kv_cli_run_call, VAULT_COLUMNS },
    { "vault", "purge", "destroy a deleted vault and every key in it, for ever",
      API "VaultService/PurgeVault", vault_name, kv_cli_run_call, NULL },
    { .noun = NULL },
};
/* clang-format on */
