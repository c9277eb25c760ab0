/* dns_hook.c - dns-01 by a program of the operator's. */
#include "server/challenge/dns.h"

static kv_status run(kv_dns_hook *hook, const char *verb, const kv_challenge_task *task,
                     kv_error *err)
{
    kv_program program = { 0 };
    kv_dns_record record;
    const char *path;
    kv_status status;

    KV_TRY(kv_dns_record_of(task, &record, err));
    KV_TRY(kv_program_check(hook->path, task->arena, &path, err));
    program.argv = (const char *const[]){ path, verb, record.name, record.value, NULL };
    if (pthread_mutex_clocklock(&hook->turn, CLOCK_MONOTONIC, &task->deadline.at) != 0)
        return kv_fail(err, KV_BUSY, "the DNS hook is still running for another name");
    status = kv_dns_run_program(&hook->run, task, "the DNS hook", &program, err);
    (void)pthread_mutex_unlock(&hook->turn);
    return status;
}

static kv_status present(void *context, const kv_challenge_task *task, kv_error *err)
{
    return run(context, "present", task, err);
}

static kv_status clean(void *context, const kv_challenge_task *task, kv_error *err)
{
    return run(context, "clean", task, err);
}

const kv_challenge kv_challenge_dns_hook = {
    .type = "dns-01",
    .wildcards = true,
    .present = present,
    .settle_ms = kv_dns_settle_ms,
    .clean = clean,
    .check = kv_challenge_check_plain,
};
