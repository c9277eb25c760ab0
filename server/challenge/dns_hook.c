/* dns_hook.c - dns-01 by a program of the operator's. */
#include "server/challenge/dns.h"

void kv_dns_hook_open(kv_dns_hook *hook)
{
    pthread_condattr_t monotonic;

    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&hook->freed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&hook->mutex, NULL);
}

void kv_dns_hook_close(kv_dns_hook *hook)
{
    (void)pthread_mutex_destroy(&hook->mutex);
    (void)pthread_cond_destroy(&hook->freed);
}

static bool take_turn(kv_dns_hook *hook, kv_deadline until)
{
    bool mine;

    (void)pthread_mutex_lock(&hook->mutex);
    while (hook->taken && pthread_cond_timedwait(&hook->freed, &hook->mutex, &until.at) == 0)
        continue;
    mine = !hook->taken;
    hook->taken = true;
    (void)pthread_mutex_unlock(&hook->mutex);
    return mine;
}

static void give_turn(kv_dns_hook *hook)
{
    (void)pthread_mutex_lock(&hook->mutex);
    hook->taken = false;
    (void)pthread_cond_signal(&hook->freed);
    (void)pthread_mutex_unlock(&hook->mutex);
}

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
    if (!take_turn(hook, task->deadline))
        return kv_fail(err, KV_BUSY, "the DNS hook is still running for another name");
    status = kv_dns_run_program(&hook->run, task, "the DNS hook", &program, err);
    give_turn(hook);
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
