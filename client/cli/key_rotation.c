/* key_rotation.c - a rotation policy from options. */
#include "client/cli/run.h"

static json_t *action(const char *trigger, const char *duration, const char *type)
{
    return json_pack("{s:{s:s},s:s}", "trigger", trigger, duration, "action", type);
}

static bool add(json_t *actions, json_t *one)
{
    return json_array_append_new(actions, one) == 0;
}

static json_t *policy_of(const kv_cli *cli)
{
    const char *after = kv_cli_given(cli, "rotate-after");
    const char *before = kv_cli_given(cli, "rotate-before-expiry");
    const char *notify = kv_cli_given(cli, "notify-before-expiry");
    json_t *actions = json_array();

    if ((after && !add(actions, action("time_after_create", after, "ROTATE"))) ||
        (before && !add(actions, action("time_before_expiry", before, "ROTATE"))) ||
        (notify && !add(actions, action("time_before_expiry", notify, "NOTIFY")))) {
        json_decref(actions);
        return NULL;
    }
    return json_pack("{s:{s:o}}", "policy", "lifetime_actions", actions);
}

static kv_exit fill(kv_cli *cli, ProtobufCMessage *request)
{
    json_t *policy = policy_of(cli);
    kv_error err = { 0 };
    kv_status status;

    if (!policy)
        return kv_cli_usage(cli, "out of memory");
    status = kv_message_read_json(request, policy, &err);
    json_decref(policy);
    return status == KV_OK ? KV_EXIT_OK : kv_cli_usage(cli, "%s", err.message);
}

static bool has_actions(const kv_cli *cli)
{
    return kv_cli_given(cli, "rotate-after") || kv_cli_given(cli, "rotate-before-expiry") ||
           kv_cli_given(cli, "notify-before-expiry");
}

kv_exit kv_cli_rotation_policy_update(kv_cli *cli)
{
    ProtobufCMessage *request = NULL;
    ProtobufCMessage *response = NULL;
    kv_exit told;

    if (has_actions(cli) && kv_cli_given(cli, "policy"))
        return kv_cli_usage(cli, "give --policy, or the options that make one");
    told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (has_actions(cli))
        told = fill(cli, request);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}
