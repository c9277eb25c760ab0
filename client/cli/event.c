/* event.c - events listed, and watched as they happen. */
#include <inttypes.h>

#include <keyvault/v1/events.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "client/failure.h"
#include "client/keyvault_watch.h"
#include "server/base/clock.h"
#include "server/base/text.h"

enum { MS = 1000 };

kv_exit kv_cli_event_list(kv_cli *cli)
{
    const char *since = kv_cli_given(cli, "since");
    ProtobufCMessage *built = NULL;
    int64_t seconds = 0;
    kv_exit told;

    if (since && !kv_cli_duration(since, &seconds))
        return kv_cli_usage(cli, "--since is a number with s, m, h or d: 15m");
    told = kv_cli_build(cli, cli->args.verb->path, &built);
    if (told != KV_EXIT_OK)
        return told;
    if (since)
        ((Keyvault__V1__ListEventsRequest *)(void *)built)->from_ms =
            kv_clock_now_ms(NULL) - seconds * MS;
    return kv_cli_list(cli, built);
}

/* --- watch --- */

bool kv_cli_watch_goes_on(const kv_cli *cli, const keyvault_error *err)
{
    bool passes = err->code == KV_CODE_UNAVAILABLE || err->code == KV_CODE_RESOURCE_EXHAUSTED ||
                  err->code == KV_CODE_DEADLINE_EXCEEDED;

    if (passes)
        kv_say(cli->err, "kvctl: %s; trying again\n", err->message);
    return passes;
}

/* One line; whoever reads them sees each at once. */
static kv_exit print_event(kv_cli *cli, const Keyvault__V1__Event *event)
{
    json_t *json = kv_message_json(&event->base);
    bool good = json && kv_say_json(cli->out, json, JSON_COMPACT);

    json_decref(json);
    kv_say(cli->out, "\n");
    if (good && !fflush(cli->out) && !ferror(cli->out))
        return KV_EXIT_OK;
    kv_say(cli->err, "kvctl: the event could not be written\n");
    return KV_EXIT_GENERAL;
}

static kv_exit watch(kv_cli *cli, keyvault_watch *from, uint64_t count)
{
    uint64_t seen = 0;

    while (!count || seen < count) {
        Keyvault__V1__WatchEventsResponse *message = NULL;
        keyvault_error err = { 0 };
        kv_exit told = KV_EXIT_OK;

        if (keyvault_watch_next(from, &message, &err)) {
            if (!kv_cli_watch_goes_on(cli, &err))
                return kv_cli_fail(cli, &err);
            continue;
        }
        if (message->event) {
            told = print_event(cli, message->event);
            seen++;
        }
        keyvault_message_free(message);
        if (told != KV_EXIT_OK)
            return told;
    }
    return KV_EXIT_OK;
}

kv_exit kv_cli_event_watch(kv_cli *cli)
{
    const char *text = kv_cli_given(cli, "count");
    ProtobufCMessage *request = NULL;
    keyvault_watch *from = NULL;
    keyvault_error err = { 0 };
    uint64_t count = 0;
    kv_exit told;

    if (text && (!kv_text_number(kv_slice_text(text), UINT32_MAX, &count) || !count))
        return kv_cli_usage(cli, "--count is a number from 1");
    told = kv_cli_build(cli, cli->args.verb->path, &request);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_open(cli);
    if (told == KV_EXIT_OK && keyvault_watch_open(cli->handle, (void *)request, &from, &err))
        told = kv_cli_fail(cli, &err);
    keyvault_message_free(request);
    if (told != KV_EXIT_OK)
        return told;
    told = watch(cli, from, count);
    keyvault_watch_close(from);
    return told;
}
