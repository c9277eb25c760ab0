/* doctor.c - is everything as it should be? Looked at when somebody asks.
 *
 * What this layer knows it looks at itself; files, space and limits belong to the composition,
 * which adds its own checks (kv_vault_config.check).
 */
#include "server/audit/audit.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/checks.h"
#include "server/vault/evidence.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/notices/delivery_rules.h"
#include "server/vault/own_step.h"
#include "server/vault/scan.h"

enum { FINDINGS_TOLD = 20, SOON_DAYS = 30, LATE_TIMES = 3 };

static const char *const duties[] = { "keys", "ca", "system", "tls" };

typedef struct examination {
    kv_checks *checks;
    kv_error *err;
    kv_status status;
    unsigned findings;
} examination;

static void told(void *context, const kv_finding *found)
{
    static const struct {
        kv_check_result result;
        const char *what;
        const char *next;
    } kinds[KV_FINDING_KINDS] = {
        [KV_FINDING_UNKNOWN] = { KV_CHECK_WARNING, "no row knows it",
                                 "another installation's, or of a restored token: 'kvctl key "
                                 "restore', or the HSM's tools" },
        [KV_FINDING_MISSING] = { KV_CHECK_ERROR, "it is not on the token",
                                 "bring it back with the HSM's own backup" },
        [KV_FINDING_DIFFERS] = { KV_CHECK_ERROR, "it is not as its class has it",
                                 "somebody changed it with the PIN: replace the key" },
        [KV_FINDING_EXTRACTABLE] = { KV_CHECK_ERROR, "the token would give it out",
                                     "replace the key, and find out who has the PIN" },
        [KV_FINDING_OTHER_CLASS] = { KV_CHECK_ERROR, "it can do what its row does not say",
                                     "somebody changed it with the PIN: replace the key" },
        [KV_FINDING_OTHER_KEY] = { KV_CHECK_ERROR, "it is another key than that of its row",
                                   "somebody put it there with the PIN: replace the key" },
        [KV_FINDING_TWICE] = { KV_CHECK_ERROR, "two keys have its id",
                               "destroy the wrong one with the HSM's tools" },
        [KV_FINDING_NO_ID] = { KV_CHECK_WARNING, "it has no id of ours",
                               "destroy it with the HSM's tools if nobody needs it" },
    };
    examination *at = context;

    if (at->findings++ >= FINDINGS_TOLD || at->status != KV_OK)
        return;
    at->status = kv_checks_add(at->checks, "key on a token", kinds[found->kind].result,
                               kinds[found->kind].next, at->err, "%s of '%s' (token %s): %s%s%s",
                               found->id[0] ? found->id : "a key without id", found->label,
                               duties[found->duty], kinds[found->kind].what,
                               found->attribute[0] ? ": " : "", found->attribute);
}

static kv_status check_keys(kv_vault *vault, kv_work *work, kv_checks *checks, kv_error *err)
{
    examination at = { .checks = checks, .err = err };
    kv_scan_how how = { .prove = true, .visit = told, .context = &at };
    kv_status status = kv_vault_scan(vault, work, &how, err);

    KV_TRY(at.status);
    if (status == KV_CANCELLED)
        return status;
    if (status != KV_OK) {
        char why[sizeof(err->message)];

        memcpy(why, err->message, sizeof(why));
        *err = (kv_error){ 0 };
        return kv_checks_add(checks, "keys", KV_CHECK_ERROR, "ask again, with more time", err,
                             "after %u keys: %s", how.seen, why);
    }
    if (at.findings)
        return kv_checks_add(checks, "keys", KV_CHECK_WARNING, "see the log: token.key.*", err,
                             "%u keys on the tokens, %u things found", how.seen, at.findings);
    return kv_checks_add(checks, "keys", KV_CHECK_OK, "", err,
                         "%u keys on the tokens, each as its class has it, each the one of its row",
                         how.seen);
}

static kv_status check_tokens(kv_vault *vault, kv_checks *checks, kv_error *err)
{
    for (int duty = KV_DUTY_KEYS; duty <= KV_DUTY_TLS; duty++) {
        const kv_token *token = kv_tokens_get(vault->config.tokens, (kv_duty)duty);
        kv_token_state state;

        if (!token)
            continue;
        state = kv_token_state_of(token);
        KV_TRY(kv_checks_add(checks, "token",
                             state == KV_TOKEN_UP        ? KV_CHECK_OK
                             : state == KV_TOKEN_SUSPECT ? KV_CHECK_WARNING
                                                         : KV_CHECK_ERROR,
                             state == KV_TOKEN_UP ? "" : "see the log: token.*", err, "%s: '%s' %s",
                             duties[duty], kv_token_label(token),
                             state == KV_TOKEN_UP ? "answers" : "does not answer well"));
    }
    return KV_OK;
}

/* Every row and its generation against the digest that the audit log vouches for. */
static kv_status check_store(kv_vault *vault, kv_checks *checks, kv_error *err)
{
    kv_status status = kv_records_compare(vault->config.records, err);
    char why[sizeof(err->message)];

    if (status == KV_OK)
        return kv_checks_add(checks, "database", KV_CHECK_OK, "", err,
                             "its rows are those of the audit log's digest; schema version %u",
                             kv_store_schema_version(kv_records_store(vault->config.records)));
    memcpy(why, err->message, sizeof(why));
    *err = (kv_error){ 0 };
    return kv_checks_add(checks, "database", KV_CHECK_ERROR, "see docs/security.md", err, "%s",
                         why);
}

static kv_status check_audit(kv_vault *vault, const kv_work *work, kv_checks *checks, kv_error *err)
{
    int64_t due = LATE_TIMES * vault->config.checkpoint_ms;
    kv_audit_status status;

    kv_audit_get_status(vault->config.audit, &status);
    if (status.failed)
        return kv_checks_add(checks, "audit log", KV_CHECK_ERROR, "see its disk and the log", err,
                             "cannot be written: nothing is answered");
    if (kv_audit_low_space(vault->config.audit))
        return kv_checks_add(checks, "audit log", KV_CHECK_ERROR,
                             "make room: changes are refused until there is", err,
                             "less free space than [audit] low_water_bytes");
    if (status.late || (due && status.checkpoint_ms && work->now_ms - status.checkpoint_ms > due &&
                        status.records > status.checkpoint_records))
        return kv_checks_add(checks, "audit log", KV_CHECK_WARNING,
                             "is the system token slow or away?", err,
                             "the last signed checkpoint is overdue");
    return kv_checks_add(checks, "audit log", KV_CHECK_OK, "", err,
                         "%llu records, signed up to %llu", (unsigned long long)status.records,
                         (unsigned long long)status.checkpoint_records);
}

static kv_status check_credentials(kv_vault *vault, const kv_work *work, kv_checks *checks,
                                   kv_error *err)
{
    kv_credentials_ending ending;

    kv_auth_credentials_ending(vault->config.auth, work->now_ms,
                               work->now_ms + (int64_t)SOON_DAYS * KV_DAY_MS, &ending);
    if (ending.ended || ending.soon)
        return kv_checks_add(checks, "credentials", KV_CHECK_WARNING,
                             "register new certificates: kvctl principal credential list", err,
                             "%u registered certificates have expired, %u do within %d days",
                             ending.ended, ending.soon, SOON_DAYS);
    return kv_checks_add(checks, "credentials", KV_CHECK_OK, "", err,
                         "no registered certificate expires within %d days", SOON_DAYS);
}

kv_status kv_server_check(kv_vault *vault, kv_work *work, const kv_server_check_in *in,
                          kv_checks *out, kv_error *err)
{
    (void)in;
    *out = (kv_checks){ .arena = work->arena, .time_ms = work->now_ms };
    KV_TRY(check_tokens(vault, out, err));
    KV_TRY(check_store(vault, out, err));
    KV_TRY(check_audit(vault, work, out, err));
    KV_TRY(check_credentials(vault, work, out, err));
    KV_TRY(kv_authorities_check(vault, out, err));
    KV_TRY(kv_issuers_check(vault, work, out, err));
    KV_TRY(kv_deliveries_check(vault, out, err));
    if (vault->config.check)
        KV_TRY(vault->config.check(vault->config.check_context, out, err));
    return check_keys(vault, work, out, err);
}

/* --- from time to time --- */

kv_status kv_vault_scan_all(kv_vault *vault, bool prove, kv_scanned *out, kv_error *err)
{
    kv_scan_how how = { .prove = prove };
    kv_own_step at;
    kv_status status;

    KV_TRY(kv_own_step_begin(vault, &at, err));
    status = kv_vault_scan(vault, &at.work, &how, err);
    kv_own_step_end(&at);
    KV_TRY(status);
    *out = (kv_scanned){ .keys = how.seen,
                         .unknown_objects = how.found[KV_FINDING_UNKNOWN],
                         .missing_objects = how.found[KV_FINDING_MISSING] };
    return KV_OK;
}
