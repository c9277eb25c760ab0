/* rotation.c - bounds and times of rotation policies. */
#include "server/lifecycle/rotation.h"

static const int64_t day_ms = INT64_C(86400000);

#define ROTATE_FIELD  "policy.lifetime_actions.trigger"
#define EXPIRY_FIELD  "policy.attributes.expiry_time"
#define DISABLE_FIELD "policy.retirement.disable_after"
#define DESTROY_FIELD "policy.retirement.destroy_after"

static bool at_least(const kv_duration *d, int64_t days)
{
    return kv_duration_least_ms(d) >= days * day_ms;
}

/* `a` ends at least that long before `b` does, wherever both begin. */
static bool ends_before(const kv_duration *a, const kv_duration *b, int64_t days)
{
    return kv_duration_most_ms(a) + days * day_ms <= kv_duration_least_ms(b);
}

static kv_status check_rotation(const kv_rotation_policy *policy, kv_error *err)
{
    const kv_duration *after = &policy->rotate_after;
    const kv_duration *before = &policy->rotate_before;
    bool expires = kv_duration_given(&policy->expiry);

    if (expires && !at_least(&policy->expiry, KV_ROTATION_EXPIRY_DAYS))
        return kv_fail_field(err, EXPIRY_FIELD, "is at least %d days", KV_ROTATION_EXPIRY_DAYS);
    if (kv_duration_given(before) && !expires)
        return kv_fail_field(err, EXPIRY_FIELD, "is required to rotate before expiry");
    if (kv_duration_given(after) && !at_least(after, KV_ROTATION_LEAST_DAYS))
        return kv_fail_field(err, ROTATE_FIELD ".time_after_create",
                             "a key is rotated at least %d days after its creation",
                             KV_ROTATION_LEAST_DAYS);
    if (kv_duration_given(after) && expires &&
        !ends_before(after, &policy->expiry, KV_ROTATION_LEAST_DAYS))
        return kv_fail_field(err, ROTATE_FIELD ".time_after_create",
                             "a key is rotated at least %d days before it expires",
                             KV_ROTATION_LEAST_DAYS);
    if (kv_duration_given(before) && !at_least(before, KV_ROTATION_LEAST_DAYS))
        return kv_fail_field(err, ROTATE_FIELD ".time_before_expiry",
                             "a key is rotated at least %d days before it expires",
                             KV_ROTATION_LEAST_DAYS);
    if (kv_duration_given(before) && !ends_before(before, &policy->expiry, KV_ROTATION_LEAST_DAYS))
        return kv_fail_field(err, ROTATE_FIELD ".time_before_expiry",
                             "a key is rotated at least %d days after its creation",
                             KV_ROTATION_LEAST_DAYS);
    return KV_OK;
}

static kv_status check_notification(const kv_rotation_policy *policy, kv_error *err)
{
    if (kv_duration_given(&policy->notify_before) && !at_least(&policy->notify_before, 1))
        return kv_fail_field(err, ROTATE_FIELD ".time_before_expiry",
                             "a notification comes at least a day before the expiry");
    return KV_OK;
}

static kv_status check_retirement(const kv_rotation_policy *policy, int64_t retention_days,
                                  kv_error *err)
{
    const kv_duration *disable = &policy->disable_after;
    const kv_duration *destroy = &policy->destroy_after;

    if (kv_duration_given(disable) && !at_least(disable, KV_ROTATION_LEAST_DAYS))
        return kv_fail_field(err, DISABLE_FIELD,
                             "a version that was followed stays usable for at least %d days",
                             KV_ROTATION_LEAST_DAYS);
    if (!kv_duration_given(destroy))
        return KV_OK;
    if (!kv_duration_given(disable))
        return kv_fail_field(err, DISABLE_FIELD,
                             "is required to destroy: a version is disabled first");
    if (!ends_before(disable, destroy, retention_days))
        return kv_fail_field(
            err, DESTROY_FIELD,
            "a version is disabled for the vault's retention, %lld days, before it "
            "is destroyed",
            (long long)retention_days);
    return KV_OK;
}

kv_status kv_rotation_check(const kv_rotation_policy *policy, int64_t retention_days, kv_error *err)
{
    KV_TRY(check_rotation(policy, err));
    KV_TRY(check_notification(policy, err));
    return check_retirement(policy, retention_days, err);
}

/* --- the current version --- */

int64_t kv_rotation_due(const kv_rotation_policy *policy, const kv_rotation_facts *facts)
{
    if (!facts->enabled)
        return 0;
    if (kv_duration_given(&policy->rotate_after))
        return kv_duration_after(facts->created, &policy->rotate_after);
    if (kv_duration_given(&policy->rotate_before) && facts->expires)
        return kv_duration_before(facts->expires, &policy->rotate_before);
    return 0;
}

int64_t kv_rotation_notice(const kv_rotation_policy *policy, const kv_rotation_facts *facts)
{
    if (!facts->expires || facts->told || !kv_duration_given(&policy->notify_before))
        return 0;
    return kv_duration_before(facts->expires, &policy->notify_before);
}

/* --- versions that have been followed --- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t destruction(const kv_rotation_policy *policy, const kv_retirement_facts *facts,
                           int64_t from)
{
    int64_t gap =
        kv_duration_least_ms(&policy->destroy_after) - kv_duration_most_ms(&policy->disable_after);
    int64_t at = kv_duration_after(from, &policy->destroy_after);

    at = later(at, facts->retired + gap);
    at = later(at, facts->retired + facts->retention_days * day_ms);
    return later(at, facts->permitted + day_ms);
}

kv_retirement_turn kv_retirement_next(const kv_rotation_policy *policy,
                                      const kv_retirement_facts *facts)
{
    int64_t from = later(facts->replaced, facts->since);

    if (facts->destroyed)
        return (kv_retirement_turn){ KV_RETIREMENT_REST, 0 };
    if (facts->destroying)
        return (kv_retirement_turn){ KV_RETIREMENT_DESTROY, facts->destroying };
    if (facts->kept || !kv_duration_given(&policy->disable_after))
        return (kv_retirement_turn){ KV_RETIREMENT_REST, 0 };
    if (!facts->retired)
        return (kv_retirement_turn){ KV_RETIREMENT_DISABLE,
                                     kv_duration_after(from, &policy->disable_after) };
    if (!facts->permitted || !kv_duration_given(&policy->destroy_after))
        return (kv_retirement_turn){ KV_RETIREMENT_REST, 0 };
    return (kv_retirement_turn){ KV_RETIREMENT_DESTROY, destruction(policy, facts, from) };
}
