/* log_list.c - JSON in, keys and states out. */
#include "server/x509/log_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#include "server/base/text.h"
#include "server/x509/openssl.h"

enum { KEY_MAX = 2048, NAME_MAX_BYTES = 256, RSA_BITS = 2048, TIME_MAX = 40, YEAR_1970 = 70 };

static const char *const states[KV_LOG_STATES] = {
    [KV_LOG_UNKNOWN] = "unknown",     [KV_LOG_PENDING] = "pending",
    [KV_LOG_QUALIFIED] = "qualified", [KV_LOG_USABLE] = "usable",
    [KV_LOG_READONLY] = "readonly",   [KV_LOG_RETIRED] = "retired",
    [KV_LOG_REJECTED] = "rejected",
};

/* Where a mistake is. */
typedef struct place {
    kv_log_list *list;
    const char *operator_name;
    const char *log;
} place;

const char *kv_log_state_name(kv_log_state state)
{
    return states[state];
}

static kv_status bad(const place *at, const char *what, kv_error *err)
{
    if (!at->operator_name)
        return kv_fail(err, KV_BAD_REQUEST, "the log list %s", what);
    if (!at->log)
        return kv_fail(err, KV_BAD_REQUEST, "the log list: operator '%.60s' %s", at->operator_name,
                       what);
    return kv_fail(err, KV_BAD_REQUEST, "the log list: log '%.60s' %s", at->log, what);
}

/* RFC 3339 in UTC; fractions of a second do not matter here. */
static bool read_time(const char *text, int64_t *unix_ms)
{
    struct tm parts = { 0 };
    const char *rest;

    if (!text || strlen(text) > TIME_MAX)
        return false;
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest || parts.tm_year < YEAR_1970)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (strcmp(rest, "Z") != 0)
        return false;
    *unix_ms = (int64_t)timegm(&parts) * 1000;
    return true;
}

/* Standard base64 with padding; 0 for anything else, and for more than `room` bytes. */
static size_t unbase64(const json_t *from, uint8_t *out, size_t room)
{
    const char *text = json_string_value(from);
    size_t len = text ? strlen(text) : 0;
    size_t padding = 0;
    int decoded;

    if (!len || len % 4 || len / 4 * 3 > room ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != len)
        return 0;
    while (padding < 2 && text[len - 1 - padding] == '=')
        padding++;
    decoded = EVP_DecodeBlock(out, (const unsigned char *)text, (int)len);
    return decoded > 0 ? (size_t)decoded - padding : 0;
}

/* --- one log --- */

static kv_status read_name(const place *at, const json_t *from, kv_slice *out, kv_error *err)
{
    const char *text = json_string_value(from);

    if (!text || !*text || strlen(text) > NAME_MAX_BYTES || !kv_text_printable(kv_slice_text(text)))
        return bad(at, "has no name of 1 to 256 printable bytes", err);
    return kv_arena_copy(&at->list->arena, kv_slice_text(text), out, err);
}

/* The schema does not ask for one; then the id has to do. */
static kv_status read_description(const place *at, const json_t *from, kv_known_log *log,
                                  kv_error *err)
{
    const json_t *name = json_object_get(from, "description");

    return read_name(at, name ? name : json_object_get(from, "log_id"), &log->description, err);
}

static kv_status read_before(const place *at, const json_t *from, kv_known_log *log, kv_error *err)
{
    size_t count = json_array_size(from);

    if (!from)
        return KV_OK;
    if (!json_is_array(from) || count > KV_LOG_OPERATORS_MAX)
        return bad(at, "has previous_operators that are not an array of at most 16", err);
    log->before = kv_arena_array(&at->list->arena, count, sizeof(*log->before));
    if (!log->before)
        return kv_arena_full(err);
    for (; log->before_count < count; log->before_count++) {
        const json_t *one = json_array_get(from, log->before_count);
        kv_log_operator *to = &log->before[log->before_count];

        KV_TRY(read_name(at, json_object_get(one, "name"), &to->name, err));
        if (!read_time(json_string_value(json_object_get(one, "end_time")), &to->until_ms))
            return bad(at, "has a previous operator without the time that it ended", err);
    }
    return KV_OK;
}

/* The list has one member, called as the state is. */
static kv_status read_state(const place *at, const json_t *from, kv_known_log *log, kv_error *err)
{
    for (int state = KV_LOG_PENDING; state < KV_LOG_STATES; state++) {
        const json_t *found = json_object_get(from, states[state]);

        if (!found)
            continue;
        if (log->state != KV_LOG_UNKNOWN)
            return bad(at, "has more than one state", err);
        if (!read_time(json_string_value(json_object_get(found, "timestamp")), &log->since_ms))
            return bad(at, "has a state without the time that it began", err);
        log->state = (kv_log_state)state;
    }
    return KV_OK;
}

/* Only what RFC 6962 section 2.1.4 allows. */
static bool is_log_key(EVP_PKEY *key)
{
    char curve[32] = "";

    if (!key)
        return false;
    if (EVP_PKEY_is_a(key, "RSA"))
        return EVP_PKEY_get_bits(key) >= RSA_BITS;
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) == 1 &&
           !strcmp(curve, "prime256v1");
}

static kv_status read_key(const place *at, const json_t *from, kv_known_log *log, kv_error *err)
{
    uint8_t key[KEY_MAX], id[KV_LOG_ID_BYTES + 3], hash[KV_LOG_ID_BYTES];
    size_t len = unbase64(json_object_get(from, "key"), key, sizeof(key));
    size_t hash_len = 0;

    if (!len)
        return bad(at, "has no key in base64 of at most 2048 bytes", err);
    if (unbase64(json_object_get(from, "log_id"), id, sizeof(id)) != KV_LOG_ID_BYTES)
        return bad(at, "has no log_id of 32 bytes in base64", err);
    if (!EVP_Q_digest(NULL, "SHA256", NULL, key, len, hash, &hash_len))
        return kv_ossl_failed(err, KV_INTERNAL, "SHA-256 failed");
    if (memcmp(hash, id, sizeof(hash)) != 0)
        return bad(at, "has a log_id that is not the SHA-256 of its key", err);
    if (kv_log_list_find(at->list, hash))
        return bad(at, "is there twice", err);
    memcpy(log->id, hash, sizeof(log->id));
    log->key = kv_ossl_parse_public_key(kv_slice_of(key, len));
    return KV_OK;
}

static kv_status add_log(place *at, const json_t *from, kv_slice operator_name, kv_error *err)
{
    kv_log_list *list = at->list;
    kv_known_log *log = &list->logs[list->count];

    *log = (kv_known_log){ .operator_name = operator_name };
    at->log = "(no name)";
    KV_TRY(read_description(at, from, log, err));
    at->log = (const char *)log->description.data;
    KV_TRY(read_before(at, json_object_get(from, "previous_operators"), log, err));
    KV_TRY(read_state(at, json_object_get(from, "state"), log, err));
    KV_TRY(read_key(at, from, log, err));
    if (is_log_key(log->key)) {
        list->count++;
    } else {
        EVP_PKEY_free(log->key);
        list->left_out++;
    }
    at->log = NULL;
    return KV_OK;
}

/* --- the list --- */

static kv_status add_logs(place *at, const json_t *logs, kv_slice operator_name, kv_error *err)
{
    if (logs && !json_is_array(logs))
        return bad(at, "has logs that are not an array", err);
    for (size_t i = 0; i < json_array_size(logs); i++) {
        if (at->list->count + at->list->left_out >= KV_LOG_LIST_LOGS)
            return kv_fail(err, KV_BAD_REQUEST, "the log list has more than %d logs",
                           KV_LOG_LIST_LOGS);
        KV_TRY(add_log(at, json_array_get(logs, i), operator_name, err));
    }
    return KV_OK;
}

static kv_status add_operator(place *at, const json_t *from, kv_error *err)
{
    kv_slice name;

    at->operator_name = "(no name)";
    KV_TRY(read_name(at, json_object_get(from, "name"), &name, err));
    at->operator_name = json_string_value(json_object_get(from, "name"));
    KV_TRY(add_logs(at, json_object_get(from, "logs"), name, err));
    KV_TRY(add_logs(at, json_object_get(from, "tiled_logs"), name, err));
    at->list->operators++;
    at->operator_name = NULL;
    return KV_OK;
}

static kv_status read_list(kv_log_list *list, const json_t *from, kv_error *err)
{
    const json_t *operators = json_object_get(from, "operators");
    place at = { .list = list };

    list->logs = kv_arena_array(&list->arena, KV_LOG_LIST_LOGS, sizeof(*list->logs));
    if (!list->logs)
        return kv_arena_full(err);
    if (!read_time(json_string_value(json_object_get(from, "log_list_timestamp")), &list->made_ms))
        return bad(&at, "has no log_list_timestamp such as 2026-11-20T12:00:00Z", err);
    if (!json_array_size(operators))
        return bad(&at, "has no operators: is it version 3?", err);
    for (size_t i = 0; i < json_array_size(operators); i++)
        KV_TRY(add_operator(&at, json_array_get(operators, i), err));
    return list->count ? KV_OK : bad(&at, "has no logs", err);
}

kv_status kv_log_list_parse(kv_slice json, kv_log_list **out, kv_error *err)
{
    kv_log_list *list;
    json_error_t why;
    json_t *parsed;
    kv_status status;

    if (json.len > KV_LOG_LIST_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "the log list is larger than %d bytes",
                       KV_LOG_LIST_MAX);
    parsed = json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, &why);
    if (!parsed)
        return kv_fail(err, KV_BAD_REQUEST, "the log list is not JSON: line %d: %.100s", why.line,
                       why.text);
    list = calloc(1, sizeof(*list));
    if (list) {
        list->arena = KV_ARENA(2 * KV_LOG_LIST_MAX);
        status = read_list(list, parsed, err);
    } else {
        status = kv_fail(err, KV_BUSY, "out of memory");
    }
    json_decref(parsed);
    if (status == KV_OK)
        *out = list;
    else
        kv_log_list_free(list);
    return status;
}

kv_status kv_log_list_read(const char *path, kv_log_list **out, kv_error *err)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = malloc(KV_LOG_LIST_MAX + 1);
    size_t len = 0;
    bool read = false;
    kv_status status;

    if (file && bytes) {
        len = fread(bytes, 1, KV_LOG_LIST_MAX + 1, file);
        read = !ferror(file);
    }
    if (file)
        (void)fclose(file);
    if (read)
        status = kv_log_list_parse(kv_slice_of(bytes, len), out, err);
    else
        status = kv_fail(err, KV_UNAVAILABLE, "the log list '%.120s' cannot be read", path);
    free(bytes);
    return status;
}

void kv_log_list_free(kv_log_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        EVP_PKEY_free(list->logs[i].key);
    kv_arena_cleanup(&list->arena);
    free(list);
}

kv_slice kv_known_log_operator(const kv_known_log *log, int64_t unix_ms)
{
    kv_slice name = log->operator_name;
    int64_t until_ms = INT64_MAX;

    for (size_t i = 0; i < log->before_count; i++)
        if (unix_ms < log->before[i].until_ms && log->before[i].until_ms < until_ms) {
            until_ms = log->before[i].until_ms;
            name = log->before[i].name;
        }
    return name;
}

const kv_known_log *kv_log_list_find(const kv_log_list *list, const uint8_t id[KV_LOG_ID_BYTES])
{
    for (size_t i = 0; i < list->count; i++)
        if (!memcmp(list->logs[i].id, id, KV_LOG_ID_BYTES))
            return &list->logs[i];
    return NULL;
}
