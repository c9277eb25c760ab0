/* doctor.c - the server's report on itself, and whether its clock and ours agree. */
#include <stdlib.h>

#include <keyvault/v1/common.pb-c.h>

#include "client/cli/render.h"
#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/clock.h"

enum { CLOCK_WARNING_MS = 60 * 1000, CLOCK_ERROR_MS = 300 * 1000, SENTENCE_BYTES = 128 };

static const char *const results[] = { "?", "ok", "warning", "ERROR" };

static void tell(const kv_cli *cli, const Keyvault__V1__Check *check)
{
    unsigned result = (unsigned)check->result;

    kv_say(cli->out, "%-8s %s: %s\n", results[result < KV_COUNT(results) ? result : 0], check->name,
           check->what);
    if (check->next[0])
        kv_say(cli->out, "         -> %s\n", check->next);
}

/* This program's own check, so that it stands with the others in every form of output. */
static kv_exit add_clock(kv_cli *cli, Keyvault__V1__ServerReport *report,
                         Keyvault__V1__Check *check, char what[SENTENCE_BYTES])
{
    uint64_t here = (uint64_t)kv_clock_now_ms(NULL), there = (uint64_t)report->time_ms;
    uint64_t apart = (int64_t)here < report->time_ms ? there - here : here - there;
    Keyvault__V1__Check **longer =
        kv_arena_array(&cli->arena, report->n_checks + 1, sizeof(Keyvault__V1__Check *));
    kv_error err = { 0 };

    if (!longer && kv_arena_full(&err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    (void)snprintf(what, SENTENCE_BYTES, "the server's clock and this one are %llu s apart",
                   (unsigned long long)(apart / 1000));
    *check = (Keyvault__V1__Check)KEYVAULT__V1__CHECK__INIT;
    check->name = (char *)(uintptr_t) "clock";
    check->what = what;
    check->result = apart > CLOCK_ERROR_MS     ? KEYVAULT__V1__CHECK_RESULT__CHECK_RESULT_ERROR
                    : apart > CLOCK_WARNING_MS ? KEYVAULT__V1__CHECK_RESULT__CHECK_RESULT_WARNING
                                               : KEYVAULT__V1__CHECK_RESULT__CHECK_RESULT_OK;
    if (apart > CLOCK_WARNING_MS)
        check->next = (char *)(uintptr_t) "NTP on both: certificates and role tokens live by it";
    for (size_t i = 0; i < report->n_checks; i++)
        longer[i] = report->checks[i];
    longer[report->n_checks++] = check;
    report->checks = longer;
    return KV_EXIT_OK;
}

static kv_exit print(kv_cli *cli, const Keyvault__V1__ServerReport *report)
{
    kv_exit worst = KV_EXIT_OK;
    json_t *rows;

    for (size_t i = 0; i < report->n_checks; i++)
        if (report->checks[i]->result == KEYVAULT__V1__CHECK_RESULT__CHECK_RESULT_ERROR)
            worst = KV_EXIT_NO;
    if (cli->config.output == KV_OUTPUT_TABLE && !kv_cli_given(cli, "query")) {
        for (size_t i = 0; i < report->n_checks; i++)
            tell(cli, report->checks[i]);
        if (report->left_out)
            kv_say(cli->out, "and %u more: see the server's log\n", report->left_out);
        return worst;
    }
    rows = json_array();
    for (size_t i = 0; i < report->n_checks; i++)
        (void)json_array_append_new(rows, kv_message_json(&report->checks[i]->base));
    if (kv_cli_print(cli, rows) != KV_EXIT_OK)
        return KV_EXIT_GENERAL;
    return worst;
}

kv_exit kv_cli_server_doctor(kv_cli *cli)
{
    Keyvault__V1__ServerReport *answer = NULL;
    Keyvault__V1__ServerReport report;
    Keyvault__V1__Check clock;
    char what[SENTENCE_BYTES];
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&answer);

    if (told != KV_EXIT_OK)
        return told;
    report = *answer; /* what is added is not the message's to free */
    told = add_clock(cli, &report, &clock, what);
    if (told == KV_EXIT_OK)
        told = print(cli, &report);
    keyvault_message_free(answer);
    return told;
}
