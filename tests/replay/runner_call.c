/* runner_call.c - calls of a scenario, and what the audit log has to say of each. */
#include <stdio.h>

#include "keyvault/v1/access.pb-c.h"
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/common.pb-c.h"
#include "keyvault/v1/contacts.pb-c.h"
#include "keyvault/v1/issuers.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/renewals.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "keyvault/v1/vaults.pb-c.h"
#include "keyvault/v1/webhooks.pb-c.h"
#include "server/audit/search.h"
#include "tests/contract/vault/house_call.h"
#include "tests/replay/runner.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &keyvault__v1__server_service__descriptor,      &keyvault__v1__vault_service__descriptor,
    &keyvault__v1__key_service__descriptor,         &keyvault__v1__secret_service__descriptor,
    &keyvault__v1__certificate_service__descriptor, &keyvault__v1__issuer_service__descriptor,
    &keyvault__v1__access_service__descriptor,      &keyvault__v1__contact_service__descriptor,
    &keyvault__v1__renewal_service__descriptor,     &keyvault__v1__webhook_service__descriptor,
};

static const ProtobufCMethodDescriptor *find_method(runner *r, const char *name, char path[128])
{
    for (size_t s = 0; s < KV_COUNT(services); s++)
        for (unsigned m = 0; m < services[s]->n_methods; m++)
            if (!strcmp(services[s]->methods[m].name, name)) {
                (void)snprintf(path, 128, "/%s/%s", services[s]->name, name);
                return &services[s]->methods[m];
            }
    runner_fail(r, "there is no method %s", name);
    return NULL;
}

/* --- people --- */

person *runner_person(runner *r, const char *name)
{
    for (unsigned i = 0; i < r->people_count; i++)
        if (!strcmp(r->people[i].name, name))
            return &r->people[i];
    runner_fail(r, "nobody is called %s", name);
    return NULL;
}

person *runner_add_person(runner *r, const char *name)
{
    person *new = &r->people[r->people_count++];
    kv_error err = { 0 };
    char *hex;

    assert_true(r->people_count < RUNNER_PEOPLE);
    (void)snprintf(new->name, sizeof(new->name), "%s", name);
    new->certificate = house_certificate(name);
    hex = kv_arena_alloc(&r->arena, 4 * new->certificate->len + 1);
    assert_non_null(hex);
    for (size_t i = 0; i < new->certificate->len; i++)
        (void)snprintf(hex + 4 * i, 5, "\\x%02x", new->certificate->der[i]);
    (void)err;
    runner_set(r, name, ".cert", kv_slice_text(hex));
    return new;
}

/* --- the audit log --- */

typedef struct look {
    runner *r;
    const uint8_t *request_id; /* NULL: any */
    const char *operation;
    const char *person;
    const char *target;
    const char *status;
    const char *reason;
    unsigned found;
    uint64_t last;
} look;

static bool wants(const char *wanted, const char *is)
{
    return !wanted || !strcmp(wanted, "-") || !strcmp(wanted, is);
}

static bool look_at(void *context, const kv_audit_record *record)
{
    look *at = context;
    const kv_audit_entry *entry = &record->entry;
    char target[512], person_name[256];

    at->last = record->sequence;
    (void)snprintf(target, sizeof(target), "%.*s%s%.*s", KV_SLICE_ARG(entry->vault),
                   entry->name.len ? "/" : "", KV_SLICE_ARG(entry->name));
    (void)snprintf(person_name, sizeof(person_name), "%.*s", KV_SLICE_ARG(entry->principal_name));
    if (at->request_id && memcmp(at->request_id, entry->request_id, sizeof(entry->request_id)) != 0)
        return true;
    if (at->request_id && entry->change_count && !entry->store_version)
        runner_fail(at->r, "the audit log tells of changes that were not made");
    at->found += wants(at->operation, entry->operation) && wants(at->person, person_name) &&
                 wants(at->target, target) &&
                 wants(at->status, kv_status_spelling(entry->status)->name) &&
                 wants(at->reason, kv_reason_name(entry->reason));
    return true;
}

static void search(runner *r, look *at, uint64_t after)
{
    kv_audit_filter filter = { .from_ms = 1, .to_ms = INT64_MAX, .after = after };
    kv_error err = { 0 };

    at->last = after;
    assert_kv_ok(kv_audit_search(r->h->audit, &filter, look_at, at, &err));
}

void runner_audit(runner *r, const statement *of)
{
    const char *verb = runner_need(r, of, 1);
    look at = { .r = r,
                .operation = runner_need(r, of, 2),
                .person = runner_need(r, of, 3),
                .target = runner_need(r, of, 4),
                .status = runner_need(r, of, 5),
                .reason = runner_word(of, 6) };

    search(r, &at, 0);
    if (!strcmp(verb, "has") && !at.found)
        runner_fail(r, "the audit log has no such record");
    if (!strcmp(verb, "lacks") && at.found)
        runner_fail(r, "the audit log has %u such records", at.found);
    if (strcmp(verb, "has") != 0 && strcmp(verb, "lacks") != 0)
        runner_fail(r, "audit has, or audit lacks");
}

/* No audit, no answer: who was identified left exactly one record, with this outcome, and with
 * changes only if they were made. */
static void check_record(runner *r, const house_answer *answer)
{
    look at = { .r = r,
                .request_id = answer->request_id,
                .status = kv_status_spelling(answer->error.status)->name,
                .reason = kv_reason_name(answer->error.reason) };

    search(r, &at, r->seen);
    r->seen = at.last;
    if (answer->identified && at.found != 1)
        runner_fail(r, "%u audit records tell of this call's outcome", at.found);
}

/* --- calls --- */

static void check_outcome(runner *r, const house_answer *answer, const statement *of,
                          unsigned expect)
{
    const kv_error *error = &answer->error;
    const char *status = "OK", *reason = NULL, *field = NULL;

    if (runner_word(of, expect)) {
        if (strcmp(of->words[expect], "expect") != 0)
            runner_fail(r, "'%s' instead of 'expect'", of->words[expect]);
        status = runner_need(r, of, expect + 1);
        reason = runner_word(of, expect + 2);
        field = runner_word(of, expect + 3);
    }
    if (!wants(status, kv_status_spelling(error->status)->name) ||
        !wants(reason, kv_reason_name(error->reason)) || !wants(field, error->field))
        runner_fail(r, "%s %s '%s' instead of %s %s: %s (%s)",
                    kv_status_spelling(error->status)->name, kv_reason_name(error->reason),
                    error->field, status, reason ? reason : "", error->message, error->detail);
    if (error->status != KV_OK && answer->body.len)
        runner_fail(r, "a refusal came with an answer");
}

void runner_call(runner *r, const char *method, person *as, const runner_says *says,
                 const char *body, const statement *of, unsigned expect)
{
    char path[128];
    house_ask ask = { .path = path,
                      .who = as ? as->certificate : NULL,
                      .role_token = says->token,
                      .idempotency_key = says->key };
    const ProtobufCMethodDescriptor *found = find_method(r, method, path);
    house_answer answer = { 0 };
    kv_error err = { 0 };

    if (text_to_message(found->input, body, &r->arena, &ask.body, &err) != KV_OK)
        runner_fail(r, "%s", err.message);
    house_call(r->h, &ask, &r->arena, &answer);
    check_outcome(r, &answer, of, expect);
    check_record(r, &answer);
    r->answer_type = found->output;
    r->answer = answer.body;
}

void runner_admin(runner *r, const char *method, const char *body, const statement *of,
                  unsigned expect)
{
    const statement fine = { 0 };
    person *root = runner_person(r, "root");
    kv_error err = { 0 };

    runner_call(r, "IssueRoleToken", root, &(runner_says){ 0 },
                "roles: ROLE_ACCESS_ADMINISTRATOR scope: \"/\"", &fine, 0);
    assert_kv_ok(
        text_of_message(r->answer_type, r->answer, "token", &r->arena, &root->token, &err));
    runner_call(r, method, root, &(runner_says){ .token = root->token }, body, of, expect);
}
