/* renewals.c - the verbs about renewals of many certificates. */
#include <keyvault/v1/renewals.pb-c.h>

#include "client/cli/run.h"

enum { HOURS_MAX = 2160, HOUR_S = 60 * 60 };

typedef struct counted {
    int64_t from;
    size_t hours;
    uint64_t renewals[HOURS_MAX];
} counted;

static void add_page(counted *all, const Keyvault__V1__GetForecastResponse *page)
{
    all->from = page->from;
    for (size_t i = 0; i < page->n_renewals && i < HOURS_MAX; i++) {
        all->renewals[i] += page->renewals[i];
        if (i >= all->hours)
            all->hours = i + 1;
    }
}

/* Hours in which nothing is planned are left out. */
static json_t *hours_of(const counted *all)
{
    json_t *list = json_array();

    for (size_t i = 0; i < all->hours; i++)
        if (all->renewals[i])
            (void)json_array_append_new(
                list, json_pack("{s:I,s:I}", "hour", (json_int_t)all->from + (json_int_t)i * HOUR_S,
                                "renewals", (json_int_t)all->renewals[i]));
    return list;
}

static kv_exit count_pages(kv_cli *cli, ProtobufCMessage *request, counted *all)
{
    kv_exit told = KV_EXIT_OK;
    bool more = true;

    while (more && told == KV_EXIT_OK) {
        ProtobufCMessage *response = NULL;

        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
        if (told != KV_EXIT_OK)
            return told;
        add_page(all, (const void *)response);
        told = kv_cli_next_page(cli, response, request, &more);
        keyvault_message_free(response);
    }
    return told;
}

kv_exit kv_cli_forecast(kv_cli *cli)
{
    ProtobufCMessage *request = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);
    counted all = { 0 };

    if (told != KV_EXIT_OK)
        return told;
    told = count_pages(cli, request, &all);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_print(cli, hours_of(&all)) : told;
}

kv_exit kv_cli_renew_all(kv_cli *cli)
{
    const char *within = kv_cli_given(cli, "within");
    ProtobufCMessage *request = NULL, *response = NULL;
    int64_t seconds = 0;
    kv_exit told;

    if (within && (!kv_cli_duration(within, &seconds) || seconds < 1 || seconds > UINT32_MAX))
        return kv_cli_usage(cli, "--within takes a duration such as 90s, 12h or 7d");
    told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    ((Keyvault__V1__RenewAllRequest *)(void *)request)->spread_seconds = (uint32_t)seconds;
    told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}
