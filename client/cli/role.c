/* role.c - who may what, and why (not), in sentences. */
#include <keyvault/v1/access.pb-c.h>

#include "client/cli/render.h"
#include "client/cli/run.h"
#include "client/cli/say.h"

enum { ROLE_NAME_BYTES = 64 };

static const char *role_name(Keyvault__V1__Role role, char out[ROLE_NAME_BYTES])
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&keyvault__v1__role__descriptor, (int)role);
    const char *from = value ? value->name + sizeof("ROLE_") - 1 : "?";

    (void)snprintf(out, ROLE_NAME_BYTES, "%s", from);
    for (char *at = out; *at; at++)
        *at = (char)(*at == '_' ? '-' : *at | 0x20);
    return out;
}

/* By the number of the verdict. */
static const char *const verdicts[] = {
    "?",
    "allows it",
    "has ended",
    "counts elsewhere only",
    "cannot be used while duties are separated",
    "gives no role token, because of",
};
static const char *const bars[] = {
    "",
    "is disabled",
    "has grants that do not verify: see the server's log",
    "has no credential that has not expired",
};

static void tell_reason(const kv_cli *cli, const Keyvault__V1__AccessReason *reason)
{
    char role[ROLE_NAME_BYTES];
    char other[ROLE_NAME_BYTES];
    unsigned verdict = (unsigned)reason->verdict;

    kv_say(cli->out, "  %s on %s %s", role_name(reason->assignment->role, role),
           reason->assignment->scope, verdicts[verdict < KV_COUNT(verdicts) ? verdict : 0]);
    if (verdict == KEYVAULT__V1__ACCESS_VERDICT__ACCESS_VERDICT_EXCLUDED)
        kv_say(cli->out, " %s on %s", role_name(reason->excluded_by, other), reason->excluded_on);
    else if (reason->excluded_by)
        kv_say(cli->out, ", with a warning because of %s on %s",
               role_name(reason->excluded_by, other), reason->excluded_on);
    kv_say(cli->out, "\n");
}

static void tell(const kv_cli *cli, const Keyvault__V1__AccessExplanation *answer)
{
    unsigned bar = (unsigned)answer->bar;
    char role[ROLE_NAME_BYTES];

    kv_say(cli->out, "%s: %s, %s on %s%s\n", answer->allowed ? "yes" : "no",
           answer->principal->display_name, kv_cli_given(cli, "permission"), answer->scope,
           answer->managed ? " (belongs to a certificate)" : "");
    if (bar && bar < KV_COUNT(bars))
        kv_say(cli->out, "  %s %s\n", answer->principal->display_name, bars[bar]);
    for (size_t i = 0; i < answer->n_reasons; i++)
        tell_reason(cli, answer->reasons[i]);
    if (answer->allowed || !answer->n_roles_that_may)
        return;
    kv_say(cli->out, "  roles that may:");
    for (size_t i = 0; i < answer->n_roles_that_may; i++)
        kv_say(cli->out, "%s %s", i ? "," : "", role_name(answer->roles_that_may[i], role));
    kv_say(cli->out, "\n");
}

kv_exit kv_cli_role_explain(kv_cli *cli)
{
    Keyvault__V1__AccessExplanation *answer = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&answer);
    bool allowed;

    if (told != KV_EXIT_OK)
        return told;
    allowed = answer->allowed;
    if (cli->config.output == KV_OUTPUT_TABLE && !kv_cli_given(cli, "query")) {
        tell(cli, answer);
        keyvault_message_free(answer);
    } else {
        told = kv_cli_show(cli, &answer->base);
    }
    return told == KV_EXIT_OK && !allowed ? KV_EXIT_NO : told;
}

kv_exit kv_cli_role_assign(kv_cli *cli)
{
    Keyvault__V1__RoleAssignment *answer = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&answer);

    if (told != KV_EXIT_OK)
        return told;
    for (size_t i = 0; i < answer->n_warnings; i++)
        kv_say(cli->err, "kvctl: warning: %s\n", answer->warnings[i]);
    return kv_cli_show(cli, &answer->base);
}
