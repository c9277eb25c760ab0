/* token_survey.c - one look at every object of a token when it starts. */
#include "pkcs11/token_survey.h"

#include <stdlib.h>

#include "pkcs11/rv.h"
#include "pkcs11/token_object.h"

/* An object's answer to one question. */
typedef struct face {
    CK_OBJECT_CLASS class;
    CK_BBOOL on_token;
    uint8_t id[KV_KEY_ID_BYTES];
} face;

/* False unless the object has all three, and an id of our length. */
static bool look_at(kv_token_visit *visit, CK_OBJECT_HANDLE object, face *out)
{
    CK_ATTRIBUTE asked[] = {
        { CKA_CLASS, &out->class, sizeof(out->class) },
        { CKA_TOKEN, &out->on_token, sizeof(out->on_token) },
        { CKA_ID, out->id, sizeof(out->id) },
    };

    return visit->f->C_GetAttributeValue(visit->session, object, asked, KV_COUNT(asked)) ==
               CKR_OK &&
           asked[0].ulValueLen == sizeof(out->class) &&
           asked[1].ulValueLen == sizeof(out->on_token) && asked[2].ulValueLen == sizeof(out->id);
}

static bool is_secret(CK_OBJECT_CLASS class)
{
    return class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY;
}

/* SoftHSM writes an object attribute by attribute, and marks a copy as a token object at the very
 * end. So what stands on the token without CKA_TOKEN, or without any class, is a write that a kill
 * interrupted; with its id and its value it may be a whole key that no search for token objects
 * finds. "Cannot say" is no reason to destroy anything. */
static bool is_unfinished(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    CK_OBJECT_CLASS class = 0;
    CK_BBOOL on_token = CK_TRUE;
    CK_ATTRIBUTE kind = { CKA_CLASS, &class, sizeof(class) };
    CK_ATTRIBUTE place = { CKA_TOKEN, &on_token, sizeof(on_token) };
    CK_RV rv = visit->f->C_GetAttributeValue(visit->session, object, &kind, 1);

    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID)
        return true;
    if (rv != CKR_OK)
        return false;
    rv = visit->f->C_GetAttributeValue(visit->session, object, &place, 1);
    return rv == CKR_ATTRIBUTE_TYPE_INVALID ||
           (rv == CKR_OK && place.ulValueLen == sizeof(on_token) && !on_token);
}

static kv_status note_data(kv_token_survey *out, CK_OBJECT_HANDLE object, kv_error *err)
{
    if (out->data_count == out->data_room) {
        size_t room = out->data_room ? 2 * out->data_room : 16;
        CK_OBJECT_HANDLE *longer = realloc(out->data, room * sizeof(*longer));

        if (!longer)
            return kv_fail(err, KV_BUSY, "out of memory");
        out->data = longer;
        out->data_room = room;
    }
    out->data[out->data_count++] = object;
    return KV_OK;
}

/* An object that did not answer all: asked one by one, for what is decided here may destroy it. */
static kv_status look_closely(kv_token_visit *visit, CK_OBJECT_HANDLE object, kv_token_survey *out,
                              kv_error *err)
{
    CK_OBJECT_CLASS class;
    uint8_t id[KV_KEY_ID_BYTES];
    size_t len = sizeof(id);
    kv_error ignored = { 0 };
    kv_status status;

    if (visit->token->exclusive && is_unfinished(visit, object)) {
        out->unfinished += visit->f->C_DestroyObject(visit->session, object) == CKR_OK;
        return KV_OK;
    }
    class = kv_object_number(visit, object, CKA_CLASS);
    if (class == CKO_DATA)
        return note_data(out, object, err);
    if (!is_secret(class) && class != CKO_PUBLIC_KEY)
        return KV_OK;
    status = kv_object_bytes(visit, object, CKA_ID, id, &len, &ignored);
    /* "Cannot say" is for the scan, which reports such things. */
    if (status != KV_OK && status != KV_NOT_FOUND)
        return KV_OK;
    if (status == KV_NOT_FOUND)
        len = 0;
    if (len == sizeof(id) && is_secret(class))
        return kv_token_index_add(visit, id, object, err);
    out->halves += len != sizeof(id);
    return KV_OK;
}

static kv_status look(kv_token_visit *visit, CK_OBJECT_HANDLE object, kv_token_survey *out,
                      kv_error *err)
{
    face seen = { 0 };

    if (!look_at(visit, object, &seen) || !seen.on_token || seen.class == CKO_DATA)
        return look_closely(visit, object, out, err);
    return is_secret(seen.class) ? kv_token_index_add(visit, seen.id, object, err) : KV_OK;
}

/* What stands unfinished on a token is found by no search for token objects. */
static kv_status find_all(kv_token_visit *visit, kv_handles *out, size_t *count, kv_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE on_token = { CKA_TOKEN, &yes, sizeof(yes) };

    return visit->token->exclusive ? kv_objects_find(visit, NULL, 0, out, count, err)
                                   : kv_objects_find(visit, &on_token, 1, out, count, err);
}

kv_status kv_token_survey_take(kv_token_visit *visit, kv_token_survey *out, kv_error *err)
{
    KV_AUTO(kv_handles) list = NULL;
    size_t count = 0;

    KV_TRY(find_all(visit, &list, &count, err));
    for (size_t i = 0; i < count; i++) {
        kv_token_visit_goes_on(visit);
        KV_TRY(look(visit, list[i], out, err));
    }
    visit->unread = (kv_error){ 0 };
    if (!out->unfinished)
        return KV_OK;
    kv_log_write(visit->token->log, KV_LOG_WARNING, "token.unfinished_destroyed",
                 (kv_log_field[]){ { "token", visit->token->label, 0 },
                                   { "objects", NULL, (int64_t)out->unfinished },
                                   { 0 } });
    return kv_token_files_sync(&visit->token->files, err);
}

void kv_token_survey_cleanup(kv_token_survey *survey)
{
    free(survey->data);
    *survey = (kv_token_survey){ 0 };
}
