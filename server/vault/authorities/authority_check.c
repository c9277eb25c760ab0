/* authority_check.c - what the doctor says of certificate authorities: which of them end, and which
 * owe a list.
 */
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/checks.h"
#include "server/vault/own_step.h"
#include "server/x509/calendar.h"
#include "server/x509/inspect.h"

enum { TOLD = 20, SOON_DAYS = 30 };

typedef struct looking {
    kv_checks *checks;
    unsigned seen;
    unsigned told;
} looking;

static kv_status tell(looking *at, kv_check_result result, const char *next, const char *name,
                      const char *what, kv_error *err)
{
    if (at->told++ >= TOLD)
        return KV_OK;
    return kv_checks_add(at->checks, "certificate authority", result, next, err, "'%s' %s", name,
                         what);
}

/* What it issues for as long as it may would end later than it does itself. */
static kv_status check_end(looking *at, const kv_authority_row *row, const char *name,
                           int64_t not_after, int64_t now_ms, kv_error *err)
{
    if (not_after <= now_ms)
        return tell(at, KV_CHECK_ERROR, "kvctl ca renew", name, "has expired", err);
    if (not_after < now_ms + (int64_t)SOON_DAYS * KV_DAY_MS)
        return tell(at, KV_CHECK_WARNING, "kvctl ca renew", name, "expires within 30 days", err);
    if (not_after < kv_x509_add_months(now_ms, (uint32_t)row->max_months))
        return tell(at, KV_CHECK_WARNING, "kvctl ca renew", name,
                    "ends before what it issues would: the validity of that is cut", err);
    return KV_OK;
}

static kv_status check_list(kv_vault *vault, kv_own_step *step, looking *at,
                            const kv_authority_row *row, const char *name, kv_error *err)
{
    kv_crl_row list = { .authority_uid = row->uid };

    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, &list, &step->arena, err));
    if (list.next_update > step->work.now_ms)
        return KV_OK;
    return tell(at, KV_CHECK_ERROR, "is the ca token away? see the log: crl.later", name,
                "has no revocation list that is valid", err);
}

static kv_status check_one(kv_vault *vault, kv_own_step *step, void *item, void *context,
                           kv_error *err)
{
    const kv_authority_row *row = item;
    looking *at = context;
    kv_x509_facts facts;
    kv_slice name;

    if (!row->certificate.len || !row->key_id.len)
        return KV_OK;
    at->seen++;
    KV_TRY(kv_arena_print(&step->arena, &name, err, "%.*s", KV_SLICE_ARG(row->name)));
    KV_TRY(kv_x509_inspect(&step->arena, row->certificate, &facts, err));
    if (kv_authority_is_current(row) && row->enabled)
        KV_TRY(check_end(at, row, (const char *)name.data, facts.not_after_ms, step->work.now_ms,
                         err));
    if (facts.not_after_ms <= step->work.now_ms)
        return KV_OK;
    return check_list(vault, step, at, row, (const char *)name.data, err);
}

kv_status kv_authorities_check(kv_vault *vault, kv_checks *checks, kv_error *err)
{
    looking at = { .checks = checks };

    KV_TRY(kv_each_row(vault, &kv_table_authorities, check_one, &at, err));
    if (at.told || !at.seen)
        return KV_OK;
    return kv_checks_add(checks, "certificate authority", KV_CHECK_OK, "", err,
                         "%u keys, each with a list that is valid, none near its end", at.seen);
}
