/* verbs.h - the words in which verbs_*.c write their tables. Internal to them and verbs.c. */
#pragma once

#include "client/cli/run.h"

#define API "/keyvault.v1."

#define END          \
    {                \
        .name = NULL \
    }

/* A text that becomes a field; and the same, required. */
#define TEXT(name, value, field, help)              \
    {                                               \
        name, value, help, field, KV_OPTION_TEXT, 0 \
    }
#define NEED(name, value, field, help)                               \
    {                                                                \
        name, value, help, field, KV_OPTION_TEXT, KV_OPTION_REQUIRED \
    }
#define MANY(name, value, field, help)                               \
    {                                                                \
        name, value, help, field, KV_OPTION_TEXT, KV_OPTION_REPEATED \
    }
#define WHEN(name, field, help)                      \
    {                                                \
        name, "TIME", help, field, KV_OPTION_TIME, 0 \
    }
#define YES(name, field, help)                               \
    {                                                        \
        name, "[true|false]", help, field, KV_OPTION_BOOL, 0 \
    }
/* The verb's own. */
#define OWN(name, value, help)                     \
    {                                              \
        name, value, help, NULL, KV_OPTION_TEXT, 0 \
    }
#define OWN_NEED(name, value, help)                                 \
    {                                                               \
        name, value, help, NULL, KV_OPTION_TEXT, KV_OPTION_REQUIRED \
    }
#define SWITCH(name, help)                        \
    {                                             \
        name, NULL, help, NULL, KV_OPTION_FLAG, 0 \
    }

#define VAULT                                                                              \
    {                                                                                      \
        "vault", "VAULT", "the vault; KVCTL_VAULT or kvctl.conf may name it too", "vault", \
            KV_OPTION_TEXT, KV_OPTION_REQUIRED | KV_OPTION_VAULT                           \
    }
#define NAME    NEED("name", "NAME", "name", "name of the object, 1 to 127 of [0-9A-Za-z-]")
#define VERSION TEXT("version", "VERSION", "version", "32 hexadecimal digits; default: the newest")
#define TAGS(field)                                                            \
    {                                                                          \
        "tag", "NAME=VALUE", "a tag", field, KV_OPTION_TAG, KV_OPTION_REPEATED \
    }
#define ENABLED    YES("enabled", "attributes.enabled", "whether it can be used")
#define NOT_BEFORE WHEN("not-before", "attributes.not_before", "not usable before; none removes it")
#define EXPIRES    WHEN("expires", "attributes.expires", "not usable after; none removes it")
#define FILE_OUT   OWN_NEED("file", "FILE", "where to write, mode 0600; - is standard output")
#define OVERWRITE  SWITCH("overwrite", "replace the file if it exists")
#define PRINCIPAL(flags)                                                                         \
    {                                                                                            \
        "principal", "NAME|ID", "who, by name or id", "principal_id", KV_OPTION_PRINCIPAL, flags \
    }

/* Options that many verbs have; verbs.c. */
extern const kv_cli_option kv_cli_no_options[];
extern const kv_cli_option kv_cli_of_vault[];   /* --vault */
extern const kv_cli_option kv_cli_of_name[];    /* --vault --name */
extern const kv_cli_option kv_cli_of_version[]; /* --vault --name --version */
extern const kv_cli_option kv_cli_to_backup[];
extern const kv_cli_option kv_cli_to_restore[];

/* The last six verbs that keys, secrets and certificates have in common. */
#define DELETION(noun, service, One, Many, columns, items)                         \
    { noun,                                                                        \
      "delete",                                                                    \
      "delete all versions; they can be recovered for the vault's retention",      \
      API service "/Delete" One,                                                   \
      kv_cli_of_name,                                                              \
      kv_cli_run_call,                                                             \
      columns },                                                                   \
        { noun,                                                                    \
          "list-deleted",                                                          \
          "what is deleted and can be recovered",                                  \
          API service "/ListDeleted" Many,                                         \
          kv_cli_of_vault,                                                         \
          kv_cli_run_list,                                                         \
          items },                                                                 \
        { noun,                                                                    \
          "show-deleted",                                                          \
          "one that is deleted",                                                   \
          API service "/GetDeleted" One,                                           \
          kv_cli_of_name,                                                          \
          kv_cli_run_call,                                                         \
          columns },                                                               \
        { noun,                                                                    \
          "recover",                                                               \
          "bring back what is deleted",                                            \
          API service "/RecoverDeleted" One,                                       \
          kv_cli_of_name,                                                          \
          kv_cli_run_call,                                                         \
          columns },                                                               \
        { noun,                                                                    \
          "purge",                                                                 \
          "destroy what is deleted, for ever",                                     \
          API service "/PurgeDeleted" One,                                         \
          kv_cli_of_name,                                                          \
          kv_cli_run_call,                                                         \
          NULL },                                                                  \
        { noun,                                                                    \
          "backup",                                                                \
          "all versions, encrypted for this server, to a file",                    \
          API service "/Backup" One,                                               \
          kv_cli_to_backup,                                                        \
          kv_cli_backup,                                                           \
          NULL },                                                                  \
    {                                                                              \
        noun, "restore", "bring back what a backup has; never overwrites",         \
            API service "/Restore" One, kv_cli_to_restore, kv_cli_restore, columns \
    }

/* The nouns: each ends with a row without one. */
extern const kv_cli_verb kv_cli_verbs_vault[];
extern const kv_cli_verb kv_cli_verbs_certificate[];
extern const kv_cli_verb kv_cli_verbs_authority[];
extern const kv_cli_verb kv_cli_verbs_issuer[];
extern const kv_cli_verb kv_cli_verbs_notify[];
extern const kv_cli_verb kv_cli_verbs_event[];
extern const kv_cli_verb kv_cli_verbs_key[];
extern const kv_cli_verb kv_cli_verbs_secret[];
extern const kv_cli_verb kv_cli_verbs_access[];
extern const kv_cli_verb kv_cli_verbs_server[];
