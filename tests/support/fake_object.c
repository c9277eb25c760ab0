/* fake_object.c - the fake's objects and their attributes. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_inside.h"

static fake_state *const fake = &kv_fake_state;

const fake_attribute *kv_fake_attribute(const fake_object *object, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < object->count; i++)
        if (object->attributes[i].type == type)
            return &object->attributes[i];
    return NULL;
}

bool kv_fake_flag(const fake_object *object, CK_ATTRIBUTE_TYPE type, bool absent)
{
    const fake_attribute *attribute = kv_fake_attribute(object, type);

    return attribute ? attribute->len == 1 && attribute->value[0] != 0 : absent;
}

CK_ULONG kv_fake_number(const fake_object *object, CK_ATTRIBUTE_TYPE type)
{
    const fake_attribute *attribute = kv_fake_attribute(object, type);
    CK_ULONG value = CK_UNAVAILABLE_INFORMATION;

    if (attribute && attribute->len == sizeof(value))
        memcpy(&value, attribute->value, sizeof(value));
    return value;
}

/* A template inside an attribute: the values follow the list, in the same memory. */
static uint8_t *keep_template(const CK_ATTRIBUTE *items, size_t count)
{
    size_t size = count * sizeof(*items);
    CK_ATTRIBUTE *copy;
    uint8_t *bytes, *at;

    for (size_t i = 0; i < count; i++)
        size += items[i].ulValueLen;
    bytes = calloc(1, size + 1);
    copy = (CK_ATTRIBUTE *)(void *)bytes;
    at = bytes + count * sizeof(*items);
    for (size_t i = 0; i < count; i++) {
        copy[i] = (CK_ATTRIBUTE){ items[i].type, at, items[i].ulValueLen };
        memcpy(at, items[i].pValue, items[i].ulValueLen);
        at += items[i].ulValueLen;
    }
    return bytes;
}

void kv_fake_set(fake_object *object, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
    fake_attribute *attribute = (fake_attribute *)kv_fake_attribute(object, type);

    if (!attribute) {
        if (object->count == FAKE_ATTRIBUTES)
            abort();
        attribute = &object->attributes[object->count++];
    }
    free(attribute->value);
    attribute->type = type;
    attribute->len = len;
    if (type == CKA_UNWRAP_TEMPLATE) {
        attribute->value = keep_template(value, len / sizeof(CK_ATTRIBUTE));
        return;
    }
    attribute->value = calloc(1, len + 1);
    if (len)
        memcpy(attribute->value, value, len);
}

void kv_fake_set_flag(fake_object *object, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_BBOOL byte = value ? CK_TRUE : CK_FALSE;

    kv_fake_set(object, type, &byte, sizeof(byte));
}

fake_object *kv_fake_object_new(const fake_session *session, CK_ATTRIBUTE *template, CK_ULONG count)
{
    fake_object *object = calloc(1, sizeof(*object));

    object->handle = ++fake->next_handle;
    object->slot = session->slot;
    for (CK_ULONG i = 0; i < count; i++)
        kv_fake_set(object, template[i].type, template[i].pValue, template[i].ulValueLen);
    object->owner = kv_fake_flag(object, CKA_TOKEN, false) ? 0 : session->handle;
    object->next = fake->objects;
    fake->objects = object;
    return object;
}

void kv_fake_object_free(fake_object *object)
{
    for (unsigned i = 0; i < object->count; i++)
        free(object->attributes[i].value);
    EVP_PKEY_free(object->pkey);
    free(object);
}

void kv_fake_forget_object(fake_object *object)
{
    fake_object **at = &fake->objects;

    while (*at != object)
        at = &(*at)->next;
    *at = object->next;
    kv_fake_object_free(object);
}

void kv_fake_drop_session_objects(CK_SESSION_HANDLE owner)
{
    fake_object **at = &fake->objects, *object;

    while ((object = *at)) {
        if (!object->owner || (owner && object->owner != owner)) {
            at = &object->next;
            continue;
        }
        *at = object->next;
        kv_fake_object_free(object);
    }
}

bool kv_fake_visible(const fake_session *session, const fake_object *object)
{
    if (object->slot != session->slot || (!object->owner && fake->wedged))
        return false;
    return fake->logged_in[object->slot] || !kv_fake_flag(object, CKA_PRIVATE, true);
}

fake_object *kv_fake_object(const fake_session *session, CK_OBJECT_HANDLE handle)
{
    for (fake_object *object = fake->objects; object; object = object->next)
        if (object->handle == handle)
            return kv_fake_visible(session, object) ? object : NULL;
    return NULL;
}

static void describe_created(fake_object *object)
{
    const fake_attribute *value = kv_fake_attribute(object, CKA_VALUE);
    CK_OBJECT_CLASS class = kv_fake_number(object, CKA_CLASS);
    CK_ULONG len = value ? value->len : 0;

    if (class != CKO_SECRET_KEY && class != CKO_PRIVATE_KEY)
        return;
    kv_fake_set_flag(object, CKA_LOCAL, false);
    kv_fake_set_flag(object, CKA_ALWAYS_SENSITIVE, false);
    kv_fake_set_flag(object, CKA_NEVER_EXTRACTABLE, false);
    if (class == CKO_SECRET_KEY)
        kv_fake_set(object, CKA_VALUE_LEN, &len, sizeof(len));
    else if (value && kv_fake_number(object, CKA_KEY_TYPE) == CKK_EC_EDWARDS)
        object->pkey =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, value->value, value->len);
}

CK_RV kv_fake_create(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count,
                     CK_OBJECT_HANDLE *out)
{
    CK_RV rv = kv_fake_begin("C_CreateObject");
    fake_session *session;
    fake_object *object;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session)
        return kv_fake_end(CKR_SESSION_HANDLE_INVALID);
    if (!fake->logged_in[session->slot])
        return kv_fake_end(CKR_USER_NOT_LOGGED_IN);
    object = kv_fake_object_new(session, template, count);
    describe_created(object);
    *out = object->handle;
    return kv_fake_end(CKR_OK);
}

/* Nothing may become weaker. */
static bool forbidden(const fake_object *object, const CK_ATTRIBUTE *change)
{
    bool value = change->ulValueLen == 1 && *(CK_BBOOL *)change->pValue;

    if (change->type == CKA_EXTRACTABLE)
        return value && !kv_fake_flag(object, CKA_EXTRACTABLE, false);
    if (change->type == CKA_SENSITIVE || change->type == CKA_PRIVATE)
        return !value && kv_fake_flag(object, change->type, true);
    return change->type == CKA_LOCAL || change->type == CKA_NEVER_EXTRACTABLE ||
           change->type == CKA_ALWAYS_SENSITIVE || change->type == CKA_ALLOWED_MECHANISMS ||
           change->type == CKA_VALUE;
}

CK_RV kv_fake_copy(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *changes,
                   CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    CK_RV rv = kv_fake_begin("C_CopyObject");
    fake_session *session;
    fake_object *source, *copy;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    source = session ? kv_fake_object(session, from) : NULL;
    if (!source)
        return kv_fake_end(session ? CKR_OBJECT_HANDLE_INVALID : CKR_SESSION_HANDLE_INVALID);
    for (CK_ULONG i = 0; i < count; i++)
        if (forbidden(source, &changes[i]))
            return kv_fake_end(CKR_ATTRIBUTE_READ_ONLY);
    copy = kv_fake_object_new(session, NULL, 0);
    for (unsigned i = 0; i < source->count; i++)
        kv_fake_set(copy, source->attributes[i].type, source->attributes[i].value,
                    source->attributes[i].len);
    for (CK_ULONG i = 0; i < count; i++)
        kv_fake_set(copy, changes[i].type, changes[i].pValue, changes[i].ulValueLen);
    copy->owner = kv_fake_flag(copy, CKA_TOKEN, false) ? 0 : session->handle;
    if (source->pkey && EVP_PKEY_up_ref(source->pkey))
        copy->pkey = source->pkey;
    *out = copy->handle;
    return kv_fake_end(CKR_OK);
}

CK_RV kv_fake_destroy(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which)
{
    CK_RV rv = kv_fake_begin("C_DestroyObject");
    fake_session *session;
    fake_object *object;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    object = session ? kv_fake_object(session, which) : NULL;
    if (!object)
        return kv_fake_end(session ? CKR_OBJECT_HANDLE_INVALID : CKR_SESSION_HANDLE_INVALID);
    kv_fake_forget_object(object);
    return kv_fake_end(CKR_OK);
}

static CK_RV get_one(const fake_object *object, CK_ATTRIBUTE *wanted)
{
    const fake_attribute *attribute = kv_fake_attribute(object, wanted->type);
    CK_ULONG room = wanted->ulValueLen;

    wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    if (!attribute)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (wanted->type == CKA_VALUE && kv_fake_flag(object, CKA_SENSITIVE, false))
        return CKR_ATTRIBUTE_SENSITIVE;
    if (wanted->pValue && room < attribute->len)
        return CKR_BUFFER_TOO_SMALL;
    wanted->ulValueLen = attribute->len;
    if (wanted->pValue && attribute->len)
        memcpy(wanted->pValue, attribute->value, attribute->len);
    return CKR_OK;
}

CK_RV kv_fake_get(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which, CK_ATTRIBUTE *template,
                  CK_ULONG count)
{
    CK_RV rv = kv_fake_begin("C_GetAttributeValue");
    fake_session *session;
    fake_object *object;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    object = session ? kv_fake_object(session, which) : NULL;
    if (!object)
        return kv_fake_end(session ? CKR_OBJECT_HANDLE_INVALID : CKR_SESSION_HANDLE_INVALID);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_RV one = get_one(object, &template[i]);

        if (one != CKR_OK)
            rv = one;
    }
    return kv_fake_end(rv);
}

CK_RV kv_fake_set_attributes(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which,
                             CK_ATTRIBUTE *changes, CK_ULONG count)
{
    CK_RV rv = kv_fake_begin("C_SetAttributeValue");
    fake_session *session;
    fake_object *object;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    object = session ? kv_fake_object(session, which) : NULL;
    if (!object)
        return kv_fake_end(session ? CKR_OBJECT_HANDLE_INVALID : CKR_SESSION_HANDLE_INVALID);
    for (CK_ULONG i = 0; i < count; i++) {
        if (forbidden(object, &changes[i]))
            return kv_fake_end(CKR_ATTRIBUTE_READ_ONLY);
        kv_fake_set(object, changes[i].type, changes[i].pValue, changes[i].ulValueLen);
    }
    return kv_fake_end(CKR_OK);
}

static bool fits(const fake_object *object, const CK_ATTRIBUTE *template, CK_ULONG count)
{
    for (CK_ULONG i = 0; i < count; i++) {
        const fake_attribute *attribute = kv_fake_attribute(object, template[i].type);

        if (!attribute || attribute->len != template[i].ulValueLen ||
            memcmp(attribute->value, template[i].pValue, attribute->len) != 0)
            return false;
    }
    return true;
}

CK_RV kv_fake_find_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count)
{
    CK_RV rv = kv_fake_begin("C_FindObjectsInit");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session)
        return kv_fake_end(CKR_SESSION_HANDLE_INVALID);
    if (session->finding)
        return kv_fake_end(CKR_OPERATION_ACTIVE);
    session->finding = true;
    session->found_count = session->found_next = 0;
    for (const fake_object *object = fake->objects; object; object = object->next)
        if (kv_fake_visible(session, object) && fits(object, template, count) &&
            session->found_count < FAKE_FOUND)
            session->found[session->found_count++] = object->handle;
    return kv_fake_end(CKR_OK);
}

CK_RV kv_fake_find(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *out, CK_ULONG room, CK_ULONG *got)
{
    CK_RV rv = kv_fake_begin("C_FindObjects");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || !session->finding)
        return kv_fake_end(session ? CKR_OPERATION_NOT_INITIALIZED : CKR_SESSION_HANDLE_INVALID);
    for (*got = 0; *got < room && session->found_next < session->found_count; ++*got)
        out[*got] = session->found[session->found_next++];
    return kv_fake_end(CKR_OK);
}

CK_RV kv_fake_find_final(CK_SESSION_HANDLE handle)
{
    CK_RV rv = kv_fake_begin("C_FindObjectsFinal");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || !session->finding)
        return kv_fake_end(session ? CKR_OPERATION_NOT_INITIALIZED : CKR_SESSION_HANDLE_INVALID);
    session->finding = false;
    return kv_fake_end(CKR_OK);
}
