/* exits.c - what an error means for a script, and what a person can do about it. */
#include <string.h>

#include "client/cli/cli.h"
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
    const char *when; /* a reason, or the name of a code */
    const char *text;
} advice;

/* The first that fits is told: reasons before codes. */
/* shape: table */
static const advice advices[] = {
    { "PERMISSION_MISSING", "kvctl token whoami shows the roles you hold; an access administrator "
                            "grants others with kvctl role assign" },
    { "SEPARATION_OF_DUTY", "these roles exclude each other in overlapping scopes: kvctl role list "
                            "shows which; give them to different principals" },
    { "OBJECT_IS_DELETED_BUT_RECOVERABLE", "recover it, or have it purged, or take another name" },
    { "MANAGED_BY_CERTIFICATE", "do it to the certificate of the same name instead" },
    { "OPERATION_IN_PROGRESS", "kvctl certificate pending show tells how far it is; pending cancel "
                               "or pending delete ends it" },
    { "DISABLED", "kvctl ... set-attributes --enabled true" },
    { "PURGE_PROTECTED", "the server purges it by itself when the retention is over" },
    { "CLIENT_CERTIFICATE_UNKNOWN", "an access administrator registers the certificate with kvctl "
                                    "principal credential add" },
    { "CLIENT_CERTIFICATE_EXPIRED", "have a new client certificate made and registered" },
    { "LIMIT_REACHED", "remove what is not needed any more" },
    { "TOKEN_UNAVAILABLE", "kvctl server status tells about the tokens" },
    { "INTEGRITY", "stored data does not verify: tell the operators; kvctl audit verify --live" },
    { "INVALID_ARGUMENT", "correct the value; kvctl NOUN VERB --help tells the options" },
    { "NOT_FOUND", "check the spelling, the vault and, for deleted objects, list-deleted" },
    { "UNAUTHENTICATED", "check --certificate and --key; kvctl token whoami tells who you are" },
    { "UNAVAILABLE", "check --endpoint, --ca and whether the server runs, then try again" },
    { "DEADLINE_EXCEEDED", "a change may have happened: look before you repeat it; --timeout gives "
                           "it more time" },
    { "RESOURCE_EXHAUSTED", "the server is busy: try again a little later" },
};

static const char *advice_for(const keyvault_error *err)
{
    for (size_t i = 0; i < KV_COUNT(advices); i++)
        if (!strcmp(advices[i].when, err->reason) || !strcmp(advices[i].when, err->name))
            return advices[i].text;
    return NULL;
}

kv_exit kv_cli_fail(const kv_cli *cli, const keyvault_error *err)
{
    const char *text = advice_for(err);

    (void)fprintf(cli->err, "kvctl: %s\n", err->message[0] ? err->message : err->name);
    if (err->field[0])
        (void)fprintf(cli->err, "  field:  %s\n", err->field);
    (void)fprintf(cli->err, "  code:   %s%s%s%s\n", err->name, err->reason[0] ? " (" : "",
                  err->reason, err->reason[0] ? ")" : "");
    if (err->retry_ms)
        (void)fprintf(cli->err, "  retry:  in %u ms\n", (unsigned)err->retry_ms);
    if (text)
        (void)fprintf(cli->err, "  next:   %s\n", text);
    return kv_cli_exit_of(err->code);
}

kv_exit kv_cli_fail_local(const kv_cli *cli, const kv_error *err)
{
    (void)fprintf(cli->err, "kvctl: %s%s%s\n", err->field, err->field[0] ? " " : "", err->message);
    if (err->detail[0])
        (void)fprintf(cli->err, "  %s\n", err->detail);
    return kv_cli_exit_of(kv_status_spelling(err->status)->grpc);
}
