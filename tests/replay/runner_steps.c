/* runner_steps.c - what the lines of a scenario do. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pkcs11/rv.h"
#include "server/vault/vault_impl.h"
#include "tests/replay/runner.h"

enum { TOUCHED_MAX = 16 };

static const statement fine = { 0 };

static const char *printed(runner *r, const char *format, ...) KV_PRINTF(2, 3);

static const char *printed(runner *r, const char *format, ...)
{
    char text[4096];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return runner_text(r, kv_slice_text(text));
}

static kv_slice from_answer(runner *r, const char *path)
{
    kv_slice value = KV_SLICE_NONE;
    kv_error err = { 0 };

    if (!r->answer_type)
        runner_fail(r, "there was no call yet");
    if (text_of_message(r->answer_type, r->answer, path, &r->arena, &value, &err) != KV_OK)
        runner_fail(r, "%s", err.message);
    return value;
}

/* --- time --- */

static void date(runner *r, const statement *of)
{
    struct tm at = { 0 };
    const char *end = strptime(runner_need(r, of, 1), "%Y-%m-%dT%H:%M:%SZ", &at);

    if (!end || *end)
        runner_fail(r, "dates look like 2026-11-20T12:00:00Z");
    r->h->now_ms = (int64_t)timegm(&at) * 1000;
}

static void advance(runner *r, const statement *of)
{
    const char *unit = runner_need(r, of, 2);

    r->h->now_ms += 1000 * runner_span_s(r, printed(r, "%s%c", runner_need(r, of, 1), unit[0]));
}

/* --- people --- */

/* "certificate-officer" as the enum spells it. */
static const char *role_name(runner *r, const char *role)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "ROLE_%s", role);
    for (char *c = text; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return runner_text(r, kv_slice_text(text));
}

/* token NAME ROLE SCOPE [SPAN] [expect ...] */
static void token(runner *r, const statement *of)
{
    person *who = runner_person(r, runner_need(r, of, 1));
    const char *span = runner_word(of, 4);
    bool has_span = span && strcmp(span, "expect") != 0;
    const char *body =
        printed(r, "roles: %s scope: \"%s\" ttl_seconds: %lld", role_name(r, runner_need(r, of, 2)),
                runner_need(r, of, 3), (long long)(has_span ? runner_span_s(r, span) : 28800));

    runner_call(r, "IssueRoleToken", who, &(runner_says){ 0 }, body, of, has_span ? 5 : 4);
    if (r->answer.len) {
        who->token = from_answer(r, "token");
        runner_set(r, who->name, ".jti", from_answer(r, "jti"));
    }
}

/* assign NAME ROLE SCOPE [for SPAN] [expect ...] */
static void assign(runner *r, const statement *of)
{
    const char *name = runner_need(r, of, 1);
    const char *role = runner_need(r, of, 2);
    bool ends = runner_word(of, 4) && !strcmp(of->words[4], "for");
    int64_t expires = ends ? r->h->now_ms / 1000 + runner_span_s(r, runner_need(r, of, 5)) : 0;
    kv_slice id = KV_SLICE_NONE;

    for (unsigned i = 0; i < r->variable_count; i++)
        if (!strcmp(r->variables[i].name, printed(r, "%s.id", name)))
            id = r->variables[i].value;
    runner_admin(r, "AssignRole",
                 printed(r, "principal_id: \"%.*s\" role: %s scope: \"%s\" expires: %lld",
                         KV_SLICE_ARG(id), role_name(r, role), runner_need(r, of, 3),
                         (long long)expires),
                 of, ends ? 6 : 4);
    if (r->answer.len)
        runner_set(r, name, printed(r, ".%s", role), from_answer(r, "id"));
}

/* principal NAME [ROLE SCOPE] */
static void principal(runner *r, const statement *of)
{
    person *new = runner_add_person(r, runner_need(r, of, 1));
    kv_slice id;
    const char *pin;
    char *hex = malloc(4 * new->certificate->len + 128);

    runner_admin(r, "CreatePrincipal",
                 printed(r, "display_name: \"%s\" kind: PRINCIPAL_KIND_SERVICE", new->name), &fine,
                 0);
    id = from_answer(r, "id");
    runner_set(r, new->name, ".id", id);
    assert_non_null(hex);
    for (size_t i = 0; i < new->certificate->len; i++)
        (void)snprintf(hex + 4 * i, 5, "\\x%02x", new->certificate->der[i]);
    pin = printed(r, "principal_id: \"%.*s\" certificate: \"%s\"", KV_SLICE_ARG(id), hex);
    free(hex);
    runner_admin(r, "AddManagementCertificate", pin, &fine, 0);
    runner_set(r, new->name, ".credential", from_answer(r, "id"));
    if (of->count > 2) {
        assign(r, of);
        token(r, of);
    }
}

static void certificate(runner *r, const statement *of)
{
    (void)runner_add_person(r, runner_need(r, of, 1));
}

/* --- calls --- */

/* call METHOD as NAME|nobody [bare | with NAME] [key KEY] { ... } [expect ...] */
static void call(runner *r, const statement *of)
{
    const char *name = runner_need(r, of, 3);
    person *who = strcmp(name, "nobody") != 0 ? runner_person(r, name) : NULL;
    runner_says says = { .token = who ? who->token : KV_SLICE_NONE };
    unsigned at = 4;

    if (!strcmp(runner_need(r, of, at), "bare")) {
        says.token = KV_SLICE_NONE;
        at++;
    } else if (!strcmp(of->words[at], "with")) {
        says.token = runner_person(r, runner_need(r, of, at + 1))->token;
        at += 2;
    }
    if (!strcmp(runner_need(r, of, at), "key")) {
        says.key = kv_slice_text(runner_need(r, of, at + 1));
        at += 2;
    }
    runner_call(r, runner_need(r, of, 1), who, &says, runner_need(r, of, at), of, at + 1);
}

/* let NAME = PATH */
static void let(runner *r, const statement *of)
{
    runner_set(r, runner_need(r, of, 1), "", from_answer(r, runner_need(r, of, 3)));
}

/* check PATH = TEXT, check PATH != TEXT, check PATH starts TEXT */
static void check(runner *r, const statement *of)
{
    const char *is = runner_text(r, from_answer(r, runner_need(r, of, 1)));
    const char *how = runner_need(r, of, 2);
    const char *wanted = of->count > 3 ? of->words[3] : "";
    bool holds = !strcmp(is, wanted);

    if (!strcmp(how, "!="))
        holds = !holds;
    else if (!strcmp(how, "starts"))
        holds = !strncmp(is, wanted, strlen(wanted));
    else if (!strcmp(how, "contains"))
        holds = strstr(is, wanted) != NULL;
    if (!holds)
        runner_fail(r, "%s is '%.120s', %s '%.120s' does not hold", of->words[1], is, how, wanted);
}

/* --- the server's fate --- */

static void restart(runner *r, const statement *of)
{
    kv_error err = { 0 };

    (void)of;
    if (house_restart(r->h, &err) != KV_OK)
        runner_fail(r, "the server does not start: %s (%s)", err.message, err.detail);
}

/* die after N changes [keys-stay|no-new-keys] */
static void die_after(runner *r, const statement *of)
{
    const char *how = runner_word(of, 4);

    house_die_after(r->h, (unsigned)runner_number(r, runner_need(r, of, 2)),
                    how && !strcmp(how, "no-new-keys") ? HOUSE_NO_NEW_KEYS : HOUSE_KEYS_STAY);
}

/* fail token C_FUNCTION CKR_NAME [TIMES] */
static void fail_token(runner *r, const statement *of)
{
    static const struct {
        const char *name;
        CK_RV rv;
    } codes[] = {
        { "CKR_DEVICE_ERROR", CKR_DEVICE_ERROR },
        { "CKR_DEVICE_REMOVED", CKR_DEVICE_REMOVED },
        { "CKR_FUNCTION_FAILED", CKR_FUNCTION_FAILED },
        { "CKR_GENERAL_ERROR", CKR_GENERAL_ERROR },
        { "CKR_SESSION_HANDLE_INVALID", CKR_SESSION_HANDLE_INVALID },
        { "CKR_HOST_MEMORY", CKR_HOST_MEMORY },
    };
    const char *name = runner_need(r, of, 3);
    const char *times = runner_word(of, 4);

    for (size_t i = 0; i < KV_COUNT(codes); i++)
        if (!strcmp(codes[i].name, name)) {
            kv_fake_fail(runner_need(r, of, 2), codes[i].rv,
                         times ? (unsigned)runner_number(r, times) : 1);
            return;
        }
    runner_fail(r, "no fault is called %s", name);
}

/* All rows of a table get another generation, as they are. */
static void touch(house *h, void *context)
{
    const kv_table *table = context;
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    char *from = kv_arena_alloc(&arena, table->row_size);
    kv_scan scan = { .table = table, .from = from, .limit = TOUCHED_MAX };
    kv_change change = { 0 };
    kv_error err = { 0 };
    house_job job;
    kv_rows rows;

    assert_non_null(from);
    assert_kv_ok(kv_records_scan(h->records, &scan, &arena, &rows, &err));
    assert_in_range(rows.count, 1, TOUCHED_MAX);
    assert_kv_ok(kv_change_room(&change, &arena, rows.count, &err));
    for (unsigned i = 0; i < rows.count; i++)
        assert_kv_ok(
            kv_change_update(&change, table, (char *)rows.rows + i * table->row_size, &err));
    house_begin(h, &job);
    assert_kv_ok(kv_commit_step(h->vault, &job.work, "Meanwhile", &change, &err));
}

/* Others call; the answer is still to be that of the call they meet. */
static void call_first(house *h, void *context)
{
    runner *r = context;

    (void)h;
    for (unsigned i = 0; i < r->others_count; i++)
        call(r, &r->others[i]);
    r->others_count = 0;
}

static const kv_table *find_table(runner *r, const char *name)
{
    for (size_t i = 0; i < kv_tables_count; i++)
        if (!strcmp(kv_tables[i]->name, name))
            return kv_tables[i];
    runner_fail(r, "no table is called '%s'", name);
    return NULL;
}

/* meanwhile TABLE TIMES, meanwhile TABLE call ... */
static void meanwhile(runner *r, const statement *of)
{
    const kv_table *table = find_table(r, runner_need(r, of, 1));
    const char *what = runner_need(r, of, 2);

    if (r->h->meanwhile.table && (!r->others_count || r->h->meanwhile.table != table))
        runner_fail(r, "nobody met the change before");
    if (strcmp(what, "call") != 0) {
        house_meanwhile(r->h, table, (unsigned)runner_number(r, what), touch, (void *)table);
        return;
    }
    if (r->others_count == RUNNER_OTHERS)
        runner_fail(r, "too many come first");
    r->others[r->others_count] = (statement){ .count = of->count - 2 };
    memcpy(r->others[r->others_count++].words, of->words + 2,
           (of->count - 2) * sizeof(of->words[0]));
    house_meanwhile(r->h, table, 1, call_first, r);
}

/* Everybody has come first as often as they were to. */
static void met(runner *r, const statement *of)
{
    (void)of;
    if (r->h->meanwhile.table)
        runner_fail(r, "%u changes were not met", r->h->meanwhile.times);
}

static void failed(runner *r, const statement *of)
{
    (void)of;
    if (!kv_fake_failed())
        runner_fail(r, "the fault did not happen");
    kv_fake_fail("", CKR_OK, 0);
    house_wait_for_tokens(r->h);
}

static void purge_due(runner *r, const statement *of)
{
    unsigned wanted = (unsigned)runner_number(r, runner_need(r, of, 2));
    unsigned purged = 0;
    kv_error err = { 0 };

    if (kv_vault_purge_due(r->h->vault, &purged, &err) != KV_OK)
        runner_fail(r, "%s (%s)", err.message, err.detail);
    if (purged != wanted)
        runner_fail(r, "%u instead of %u were purged", purged, wanted);
}

static void reconciled(runner *r, const statement *of)
{
    const kv_reconciled *done = &r->h->reconciled;
    const struct {
        const char *name;
        unsigned is;
    } numbers[] = {
        { "births", done->births_rolled_back },       { "destroyed", done->destroyed },
        { "purges", done->purges_finished },          { "operations", done->operations_resumed },
        { "unknown", r->h->scanned.unknown_objects }, { "missing", r->h->scanned.missing_objects },
    };
    unsigned wanted = (unsigned)runner_number(r, runner_need(r, of, 2));

    for (size_t i = 0; i < KV_COUNT(numbers); i++)
        if (!strcmp(numbers[i].name, of->words[1])) {
            if (numbers[i].is != wanted)
                runner_fail(r, "%u instead of %u", numbers[i].is, wanted);
            return;
        }
    runner_fail(r, "reconciliation does not count '%s'", of->words[1]);
}

/* keys N: on the token for application keys */
static void keys(runner *r, const statement *of)
{
    unsigned wanted = (unsigned)runner_number(r, runner_need(r, of, 1));
    unsigned is = house_keys_on_token(r->h, KV_DUTY_KEYS);

    if (is != wanted)
        runner_fail(r, "%u instead of %u keys are on the token", is, wanted);
}

static void tidy(runner *r, const statement *of)
{
    (void)of;
    house_assert_tidy(r->h);
}

void runner_step(runner *r, const statement *of)
{
    static const struct {
        const char *name;
        void (*run)(runner *r, const statement *of);
    } steps[] = {
        { "date", date },           { "advance", advance },
        { "principal", principal }, { "certificate", certificate },
        { "assign", assign },       { "token", token },
        { "call", call },           { "let", let },
        { "check", check },         { "audit", runner_audit },
        { "restart", restart },     { "die", die_after },
        { "fail", fail_token },     { "failed", failed },
        { "purge", purge_due },     { "reconciled", reconciled },
        { "keys", keys },           { "tidy", tidy },
        { "meanwhile", meanwhile }, { "met", met },
    };

    for (size_t i = 0; i < KV_COUNT(steps); i++)
        if (!strcmp(steps[i].name, of->words[0])) {
            steps[i].run(r, of);
            return;
        }
    runner_fail(r, "no step is called '%s'", of->words[0]);
}
