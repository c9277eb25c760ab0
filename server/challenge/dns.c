/* dns.c - names of records, the record of dns-01, and programs that put it. */
#include "server/challenge/dns.h"

#include <stdio.h>

enum { LABEL_MAX = 63 };

static bool good_character(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

bool kv_dns_name_good(kv_slice name)
{
    size_t label = 0;

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool dot = c == '.';

        if ((dot ? !label || name.data[i - 1] == '-' : !good_character(c)) || (c == '-' && !label))
            return false;
        label = dot ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label && name.len <= KV_CHALLENGE_NAME_MAX && name.data[name.len - 1] != '-';
}

kv_status kv_dns_record_name(const kv_challenge_task *task, const char *label, const char **out,
                             kv_error *err)
{
    kv_slice name;

    if (task->address || !kv_dns_name_good(task->name))
        return kv_fail(err, KV_BAD_REQUEST, "'%.*s' is no name that DNS can prove",
                       task->name.len > KV_CHALLENGE_NAME_MAX ? 0 : (int)task->name.len,
                       (const char *)task->name.data);
    KV_TRY(kv_arena_print(task->arena, &name, err, "%s.%.*s.", label, KV_SLICE_ARG(task->name)));
    if (name.len > KV_CHALLENGE_NAME_MAX + 1)
        return kv_fail(err, KV_BAD_REQUEST, "the name is too long for a record '%s' under it",
                       label);
    return kv_arena_text(task->arena, name, out, err);
}

kv_status kv_dns_record_of(const kv_challenge_task *task, kv_dns_record *out, kv_error *err)
{
    kv_slice digest;
    kv_dns_record record;

    KV_TRY(kv_challenge_check_token(task, err));
    KV_TRY(kv_dns_record_name(task, "_acme-challenge", &record.name, err));
    KV_TRY(kv_challenge_digest(task, &digest, err));
    KV_TRY(kv_arena_text(task->arena, digest, &record.value, err));
    *out = record;
    return KV_OK;
}

/* --- programs --- */

static void log_run(const kv_dns_run *run, const kv_program *program, const char *what,
                    int64_t began_us, const kv_program_end *end, kv_status status)
{
    kv_log_write(run->log, status == KV_OK ? KV_LOG_INFO : KV_LOG_WARNING, "challenge.dns",
                 (kv_log_field[]){ { "by", what, 0 },
                                   { "program", program->argv[0], 0 },
                                   { "ms", NULL, (kv_monotonic_us() - began_us) / 1000 },
                                   { "status", NULL, end->status },
                                   { "said", end->said, 0 },
                                   { 0 } });
}

kv_status kv_dns_run_program(kv_dns_run *run, const kv_challenge_task *task, const char *what,
                             kv_program *program, kv_error *err)
{
    int64_t began_us = kv_monotonic_us();
    int64_t left = kv_deadline_left_ms(task->deadline);
    int64_t most = (int64_t)run->seconds * 1000;
    kv_program_end end = { 0 };
    kv_status status;

    program->deadline = left < most ? task->deadline : kv_deadline_in_ms(most);
    program->stopping = &run->stopping;
    status = kv_program_run(program, &end, err);
    if (status == KV_TIMEOUT)
        status = kv_fail(err, KV_UNAVAILABLE, "%s did not end in %lld s and was killed: '%s'", what,
                         (long long)((left < most ? left : most) / 1000), end.said);
    else if (status == KV_OK && end.status)
        status = kv_fail(err, KV_UNAVAILABLE, "%s ended with status %d: '%s'", what, end.status,
                         end.said);
    log_run(run, program, what, began_us, &end, status);
    return status;
}

unsigned kv_dns_settle_ms(const void *context)
{
    const kv_dns_run *run = context;

    return run->settle_ms;
}
