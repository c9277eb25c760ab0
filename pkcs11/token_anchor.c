/* token_anchor.c - data objects of which only the newest counts. */
#include "pkcs11/token_anchor.h"

#include <stdlib.h>

#include "pkcs11/rv.h"
#include "pkcs11/token_object.h"

/* CKA_VALUE: the counter, eight bytes big-endian, then the value. */
enum { COUNTER_BYTES = 8, OBJECT_MAX = COUNTER_BYTES + KV_ANCHOR_MAX };

static const char application[] = "keyvault anchor";

typedef struct anchoring {
    kv_slice name;
    kv_slice value; /* to write */
    kv_arena *arena;
    kv_anchor *out;
} anchoring;

typedef struct found_anchor {
    uint64_t counter;
    size_t len; /* of bytes */
    uint8_t bytes[OBJECT_MAX];
} found_anchor;

static kv_status find(kv_token_visit *visit, kv_slice name, kv_handles *list, size_t *found,
                      kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_APPLICATION, (void *)(uintptr_t)application, sizeof(application) - 1 },
        { CKA_LABEL, (void *)(uintptr_t)name.data, name.len },
    };

    KV_TRY(kv_objects_find(visit, template, KV_COUNT(template), list, found, err));
    if (*found || kv_token_probe_inside(visit))
        return KV_OK;
    kv_token_suspect(visit->token);
    return kv_module_unavailable(err);
}

static uint64_t read_counter(const uint8_t *bytes)
{
    uint64_t counter = 0;

    for (int i = 0; i < COUNTER_BYTES; i++)
        counter = counter << 8 | bytes[i];
    return counter;
}

/* The newest of the objects; counter 0 when there is none. */
static kv_status newest(kv_token_visit *visit, const kv_handles list, size_t found,
                        found_anchor *out, kv_error *err)
{
    uint8_t bytes[OBJECT_MAX];

    out->counter = 0;
    out->len = 0;
    for (size_t i = 0; i < found; i++) {
        size_t len = sizeof(bytes);
        kv_status status = kv_object_bytes(visit, list[i], CKA_VALUE, bytes, &len, err);

        if (status != KV_OK && status != KV_NOT_FOUND)
            return status;
        if (status == KV_NOT_FOUND || len < COUNTER_BYTES) {
            kv_fail(err, KV_INTERNAL, "an anchor on the token is not well formed");
            return kv_because(err, KV_REASON_INTEGRITY);
        }
        if (read_counter(bytes) < out->counter)
            continue;
        out->counter = read_counter(bytes);
        out->len = len;
        memcpy(out->bytes, bytes, len);
    }
    return KV_OK;
}

static kv_status destroy_all(kv_token_visit *visit, const kv_handles list, size_t found,
                             kv_error *err)
{
    for (size_t i = 0; i < found; i++) {
        CK_RV rv = visit->f->C_DestroyObject(visit->session, list[i]);

        if (rv != CKR_OK && rv != CKR_OBJECT_HANDLE_INVALID)
            return kv_token_failed(visit, rv, "C_DestroyObject", err);
    }
    return kv_token_files_sync(&visit->token->files, err);
}

static kv_status create(kv_token_visit *visit, kv_slice name, uint64_t counter, kv_slice value,
                        kv_error *err)
{
    uint8_t bytes[OBJECT_MAX];
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_APPLICATION, (void *)(uintptr_t)application, sizeof(application) - 1 },
        { CKA_LABEL, (void *)(uintptr_t)name.data, name.len },
        { CKA_VALUE, bytes, COUNTER_BYTES + value.len },
    };
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_RV rv;

    for (int i = 0; i < COUNTER_BYTES; i++)
        bytes[i] = (uint8_t)(counter >> (8 * (COUNTER_BYTES - 1 - i)));
    if (value.len)
        memcpy(bytes + COUNTER_BYTES, value.data, value.len);
    rv = visit->f->C_CreateObject(visit->session, template, KV_COUNT(template), &object);
    rv = kv_rv_made(rv, &object);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_CreateObject", err);
    return kv_token_files_sync(&visit->token->files, err);
}

static kv_status write_anchor(kv_token_visit *visit, void *context, kv_error *err)
{
    anchoring *work = context;
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;
    found_anchor last;

    KV_TRY(find(visit, work->name, &list, &found, err));
    KV_TRY(newest(visit, list, found, &last, err));
    KV_TRY(create(visit, work->name, last.counter + 1, work->value, err));
    return destroy_all(visit, list, found, err);
}

static kv_status read_anchor(kv_token_visit *visit, void *context, kv_error *err)
{
    anchoring *work = context;
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;
    found_anchor last;
    kv_anchor anchor;

    KV_TRY(find(visit, work->name, &list, &found, err));
    if (!found)
        return kv_fail(err, KV_NOT_FOUND, "the token has no anchor of that name");
    KV_TRY(newest(visit, list, found, &last, err));
    anchor = (kv_anchor){ .counter = last.counter, .objects = (unsigned)found };
    KV_TRY(kv_arena_copy(work->arena,
                         kv_slice_of(last.bytes + COUNTER_BYTES, last.len - COUNTER_BYTES),
                         &anchor.value, err));
    *work->out = anchor;
    return KV_OK;
}

static kv_status destroy_anchor(kv_token_visit *visit, void *context, kv_error *err)
{
    anchoring *work = context;
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;

    KV_TRY(find(visit, work->name, &list, &found, err));
    return destroy_all(visit, list, found, err);
}

static kv_status check(kv_slice name, kv_slice value, kv_error *err)
{
    if (!name.len || name.len > KV_ANCHOR_NAME_MAX)
        return kv_fail_field(err, "name", "an anchor's name has 1 to %d bytes", KV_ANCHOR_NAME_MAX);
    if (value.len > KV_ANCHOR_MAX)
        return kv_fail_field(err, "value", "an anchor has at most %d bytes", KV_ANCHOR_MAX);
    return KV_OK;
}

/* Writers take turns, or two of them would give out one counter. */
static kv_status in_turn(kv_token *token, kv_token_job *job, anchoring *work, kv_error *err)
{
    kv_status status;

    pthread_mutex_lock(&token->anchor_lock);
    status = kv_token_run(token, job, work, err);
    pthread_mutex_unlock(&token->anchor_lock);
    return status;
}

kv_status kv_token_anchor_write(kv_token *token, kv_slice name, kv_slice value, kv_error *err)
{
    anchoring work = { .name = name, .value = value };

    KV_TRY(check(name, value, err));
    return in_turn(token, write_anchor, &work, err);
}

kv_status kv_token_anchor_read(kv_token *token, kv_slice name, kv_arena *arena, kv_anchor *out,
                               kv_error *err)
{
    anchoring work = { .name = name, .arena = arena, .out = out };

    KV_TRY(check(name, KV_SLICE_NONE, err));
    return in_turn(token, read_anchor, &work, err);
}

kv_status kv_token_anchor_destroy(kv_token *token, kv_slice name, kv_error *err)
{
    anchoring work = { .name = name };

    KV_TRY(check(name, KV_SLICE_NONE, err));
    return in_turn(token, destroy_anchor, &work, err);
}
