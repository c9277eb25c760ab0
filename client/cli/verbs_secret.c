/* verbs_secret.c - what kvctl can do with secrets. */
#include "client/cli/verbs.h"

/* shape: table */
static const kv_cli_option secret_set[] = {
    VAULT,
    NAME,
    OWN("file", "FILE", "with the value; default, or -: standard input (-f)"),
    TEXT("content-type", "TYPE", "content_type", "what the value is, for readers"),
    ENABLED,
    NOT_BEFORE,
    EXPIRES,
    TAGS("tags"),
    END,
};

#define FORMAT                                                                                     \
    TEXT("format", "pfx|pem", "format", "of a certificate's secret; default: as its policy says"), \
        OWN("password-file", "FILE",                                                               \
            "password for the PFX, file of mode 0600; - is standard input"),                       \
        YES("pfx-for-old-clients", "pfx_for_old_clients",                                          \
            "weak encryption, for programs that read no other")

/* shape: table */
static const kv_cli_option secret_show[] = { VAULT, NAME, VERSION, FORMAT, END };
/* shape: table */
static const kv_cli_option secret_download[] = { VAULT,  NAME,      VERSION, FILE_OUT,
                                                 FORMAT, OVERWRITE, END };
/* shape: table */
static const kv_cli_option secret_update[] = {
    VAULT,   NAME,
    VERSION, TEXT("content-type", "TYPE", "content_type", "what the value is, for readers"),
    ENABLED, NOT_BEFORE,
    EXPIRES, TAGS("tags.items"),
    END,
};

#define SECRET_COLUMNS                                                                    \
    "NAME=id.name VERSION=id.version CONTENT-TYPE=contentType ENABLED=attributes.enabled" \
    " MANAGED=managed CREATED=attributes.created:time PURGED=deletion.scheduledPurgeDate:time"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_secret[] = {
    { "secret", "set", "keep a value, from standard input or a file",
      API "SecretService/SetSecret", secret_set, kv_cli_secret_set, SECRET_COLUMNS },
    { "secret", "show", "one secret with its value", API "SecretService/GetSecret", secret_show,
      kv_cli_secret_show, SECRET_COLUMNS },
    { "secret", "download", "the value, to a file; of a certificate: PFX or PEM with the key",
      API "SecretService/GetSecret", secret_download, kv_cli_secret_download, NULL },
    { "secret", "list", "the newest version of each, without values",
      API "SecretService/ListSecrets", kv_cli_of_vault, kv_cli_run_list, SECRET_COLUMNS },
    { "secret", "list-versions", "all versions of one, without values",
      API "SecretService/ListSecretVersions", kv_cli_of_name, kv_cli_run_list, SECRET_COLUMNS },
    { "secret", "set-attributes", "enable, disable, tag a version",
      API "SecretService/UpdateSecret", secret_update, kv_cli_run_call, SECRET_COLUMNS },
    DELETION("secret", "SecretService", "Secret", "Secrets", SECRET_COLUMNS, SECRET_COLUMNS),
    { .noun = NULL },
};
/* clang-format on */
