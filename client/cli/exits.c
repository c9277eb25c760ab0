/* exits.c - what an error means for a script, and what a person can do about it. */
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/say.h"
#include "client/failure.h"

kv_exit kv_cli_exit_of(int code)
{
    /* shape: table */
    static const kv_exit exits[] = {
        [0] = KV_EXIT_OK,
        [1] = KV_EXIT_UNAVAILABLE,     /* CANCELLED */
        [2] = KV_EXIT_GENERAL,         /* UNKNOWN */
        [3] = KV_EXIT_USAGE,           /* INVALID_ARGUMENT */
        [4] = KV_EXIT_UNAVAILABLE,     /* DEADLINE_EXCEEDED */
        [5] = KV_EXIT_NOT_FOUND,       /* NOT_FOUND */
        [6] = KV_EXIT_CONFLICT,        /* ALREADY_EXISTS */
        [7] = KV_EXIT_DENIED,          /* PERMISSION_DENIED */
        [8] = KV_EXIT_UNAVAILABLE,     /* RESOURCE_EXHAUSTED */
        [9] = KV_EXIT_CONFLICT,        /* FAILED_PRECONDITION */
        [10] = KV_EXIT_CONFLICT,       /* ABORTED */
        [11] = KV_EXIT_USAGE,          /* OUT_OF_RANGE */
        [12] = KV_EXIT_GENERAL,        /* UNIMPLEMENTED */
        [13] = KV_EXIT_GENERAL,        /* INTERNAL */
        [14] = KV_EXIT_UNAVAILABLE,    /* UNAVAILABLE */
        [15] = KV_EXIT_GENERAL,        /* DATA_LOSS */
        [16] = KV_EXIT_UNAUTHENTICATED /* UNAUTHENTICATED */
    };

    return code >= 0 && (size_t)code < KV_COUNT(exits) ? exits[code] : KV_EXIT_GENERAL;
}

typedef struct advice {
    kv_reason reason; /* none: by the code */
    int code;
    const char *text;
} advice;

/* The first that fits is told. */
/* shape: table */
static const advice advices[] = {
    { KV_REASON_PERMISSION_MISSING, 0,
      "kvctl token whoami shows the roles you hold; an access administrator grants others with "
      "kvctl role assign" },
    { KV_REASON_SEPARATION_OF_DUTY, 0,
      "kvctl role list shows which roles exclude each other; give them to different principals" },
    { KV_REASON_SOFT_DELETED, 0, "recover it, or have it purged, or take another name" },
    { KV_REASON_MANAGED, 0, "do it to the certificate of the same name" },
    { KV_REASON_OPERATION_IN_PROGRESS, 0,
      "kvctl certificate pending show tells how far it is; pending cancel or delete ends it" },
    { KV_REASON_DISABLED, 0,
      "have it enabled: set-attributes --enabled true, or principal update --enabled true" },
    { KV_REASON_DESTROYED, 0, "nothing brings its key back; use a newer version" },
    { KV_REASON_EXPIRED, 0, "make a new version, or move the date with set-attributes --expires" },
    { KV_REASON_NOT_YET_VALID, 0, "wait, or move the date with set-attributes --not-before" },
    { KV_REASON_OPERATION_NOT_PERMITTED, 0,
      "key set-attributes --operation says what the key may do" },
    { KV_REASON_PURGE_PROTECTED, 0, "the server purges it when the retention is over" },
    { KV_REASON_CERTIFICATE_UNKNOWN, 0,
      "check --certificate and --key; an access administrator registers a certificate with kvctl "
      "principal credential add; kvctl login signs in at an identity provider" },
    { KV_REASON_TOKEN_EXPIRED, 0, "kvctl login signs in again" },
    { KV_REASON_TOKEN_REVOKED, 0, "kvctl login signs in again" },
    { KV_REASON_ID_TOKEN_INVALID, 0,
      "an access administrator lets a token in with kvctl principal credential add "
      "--oidc-provider" },
    { KV_REASON_CERTIFICATE_EXPIRED, 0, "have a new client certificate made and registered" },
    { KV_REASON_LIMIT_REACHED, 0, "remove what is not needed any more" },
    { KV_REASON_NOT_SUPPORTED_BY_TOKEN, 0, "choose another kind or size of key" },
    { KV_REASON_TOKEN_UNAVAILABLE, 0, "kvctl server status tells about the tokens" },
    { KV_REASON_INTEGRITY, 0,
      "stored data does not verify: tell the operators, and run kvctl audit verify --live" },
    { KV_REASON_NONE, KV_CODE_INVALID_ARGUMENT,
      "correct the value; kvctl NOUN VERB --help tells the options" },
    { KV_REASON_NONE, KV_CODE_NOT_FOUND,
      "check the spelling and the vault; list and list-deleted show what there is" },
    { KV_REASON_NONE, KV_CODE_UNAUTHENTICATED,
      "check --certificate and --key; kvctl token whoami tells who you are" },
    { KV_REASON_NONE, KV_CODE_UNAVAILABLE,
      "check --endpoint, --ca and whether the server runs, then try again" },
    { KV_REASON_NONE, KV_CODE_DEADLINE_EXCEEDED,
      "a change may have happened: look before you repeat it; --timeout gives it more time" },
    { KV_REASON_NONE, KV_CODE_RESOURCE_EXHAUSTED, "the server is busy: try again a little later" },
};

static const char *advice_for(const keyvault_error *err)
{
    for (size_t i = 0; i < KV_COUNT(advices); i++) {
        const advice *row = &advices[i];

        if (row->reason != KV_REASON_NONE ? !strcmp(err->reason, kv_reason_name(row->reason))
                                          : row->code == err->code)
            return row->text;
    }
    return NULL;
}

kv_exit kv_cli_fail(const kv_cli *cli, const keyvault_error *err)
{
    const char *text = advice_for(err);

    kv_say(cli->err, "kvctl: %s\n", err->message[0] ? err->message : err->name);
    if (err->field[0])
        kv_say(cli->err, "  field:  %s\n", err->field);
    kv_say(cli->err, "  code:   %s%s%s%s\n", err->name, err->reason[0] ? " (" : "", err->reason,
           err->reason[0] ? ")" : "");
    if (err->retry_ms)
        kv_say(cli->err, "  retry:  in %u ms\n", (unsigned)err->retry_ms);
    if (text)
        kv_say(cli->err, "  next:   %s\n", text);
    return kv_cli_exit_of(err->code);
}

kv_exit kv_cli_fail_local(const kv_cli *cli, const kv_error *err)
{
    kv_say(cli->err, "kvctl: %s%s%s\n", err->field, err->field[0] ? " " : "", err->message);
    if (err->detail[0])
        kv_say(cli->err, "  %s\n", err->detail);
    return kv_cli_exit_of(kv_status_spelling(err->status)->grpc);
}
