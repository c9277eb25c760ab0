/* isolated_dialect.c - mechanisms and attributes into p11-kit's remoting and out of it. */
#include "pkcs11/isolated_dialect.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/rv.h"
#include "server/base/compiler.h"

enum { MOST_POINTERS = 2, MOST_BYTES = 1 << 20 };

/* No CKG_... has it. */
#define OURS ((CK_RSA_PKCS_MGF_TYPE)0x80004b56)
/* In no type that this server uses. */
#define UNKNOWN_TYPE ((CK_ATTRIBUTE_TYPE)0x20000000)
/* Handles of tokens are small numbers. */
#define MECHANISMS ((CK_OBJECT_HANDLE)0x4b564d4543485351)

/* --- mechanisms --- */

/* A parameter is `size` bytes; where it points to something, those bytes follow. */
typedef struct shape {
    CK_MECHANISM_TYPE type;
    size_t size;
    unsigned count;
    struct {
        size_t at, len_at;
    } pointers[MOST_POINTERS];
} shape;

static const shape shapes[] = {
    { .type = CKM_AES_GCM,
      .size = sizeof(CK_GCM_PARAMS),
      .count = 2,
      .pointers = { { offsetof(CK_GCM_PARAMS, pIv), offsetof(CK_GCM_PARAMS, ulIvLen) },
                    { offsetof(CK_GCM_PARAMS, pAAD), offsetof(CK_GCM_PARAMS, ulAADLen) } } },
    { .type = CKM_RSA_PKCS_OAEP,
      .size = sizeof(CK_RSA_PKCS_OAEP_PARAMS),
      .count = 1,
      .pointers = { { offsetof(CK_RSA_PKCS_OAEP_PARAMS, pSourceData),
                      offsetof(CK_RSA_PKCS_OAEP_PARAMS, ulSourceDataLen) } } },
    { .type = CKM_RSA_PKCS_PSS, .size = sizeof(CK_RSA_PKCS_PSS_PARAMS) },
    { .type = CKM_AES_CBC, .size = 16 },
    { .type = CKM_AES_CBC_PAD, .size = 16 },
};

static const shape *shape_of(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < KV_COUNT(shapes); i++)
        if (shapes[i].type == type)
            return &shapes[i];
    return NULL;
}

static CK_ULONG length_in(const uint8_t *parameter, const shape *s, unsigned pointer)
{
    CK_ULONG len;

    memcpy(&len, parameter + s->pointers[pointer].len_at, sizeof(len));
    return len;
}

typedef struct kv_worded {
    CK_MECHANISM mechanism; /* what to give on */
    CK_RSA_PKCS_OAEP_PARAMS envelope;
    uint8_t *bytes;
} kv_worded;

static void kv_worded_cleanup(kv_worded *worded)
{
    free(worded->bytes);
}

/* The parameter's bytes with all that it points to. */
static CK_RV flatten(const CK_MECHANISM *in, kv_worded *out, size_t *len)
{
    const shape *s = shape_of(in->mechanism);
    const uint8_t *parameter = in->pParameter;
    size_t at;

    *len = 0;
    if (!in->pParameter)
        return CKR_OK;
    if (!s || s->size != in->ulParameterLen)
        return CKR_MECHANISM_PARAM_INVALID;
    *len = s->size;
    for (unsigned i = 0; i < s->count; i++) {
        if (length_in(parameter, s, i) > MOST_BYTES)
            return CKR_MECHANISM_PARAM_INVALID;
        *len += length_in(parameter, s, i);
    }
    out->bytes = malloc(*len);
    if (!out->bytes)
        return CKR_HOST_MEMORY;
    memcpy(out->bytes, parameter, s->size);
    at = s->size;
    for (unsigned i = 0; i < s->count; i++) {
        const void *from;
        CK_ULONG more = length_in(parameter, s, i);

        memcpy(&from, parameter + s->pointers[i].at, sizeof(from));
        if (more)
            memcpy(out->bytes + at, from, more);
        memset(out->bytes + s->pointers[i].at, 0, sizeof(from));
        at += more;
    }
    return CKR_OK;
}

static CK_RV wrap(const CK_MECHANISM *in, kv_worded *out)
{
    size_t len;
    CK_RV rv = flatten(in, out, &len);

    if (rv != CKR_OK)
        return rv;
    out->envelope = (CK_RSA_PKCS_OAEP_PARAMS){ .hashAlg = in->mechanism,
                                               .mgf = OURS,
                                               .source = CKZ_DATA_SPECIFIED,
                                               .pSourceData = out->bytes,
                                               .ulSourceDataLen = len };
    out->mechanism = (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &out->envelope, sizeof(out->envelope) };
    return CKR_OK;
}

/* The bytes are ours now; its pointers point into them again. */
static CK_RV point(const shape *s, uint8_t *bytes, size_t len)
{
    size_t at = s->size;

    for (unsigned i = 0; i < s->count; i++) {
        CK_ULONG more = length_in(bytes, s, i);
        const uint8_t *to = more ? bytes + at : NULL;

        if (more > len - at)
            return CKR_MECHANISM_PARAM_INVALID;
        memcpy(bytes + s->pointers[i].at, &to, sizeof(to));
        at += more;
    }
    return at == len ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV unwrap(const CK_MECHANISM *in, kv_worded *out)
{
    const CK_RSA_PKCS_OAEP_PARAMS *envelope = in->pParameter;
    const shape *s;
    size_t len;

    out->mechanism = *in;
    if (in->mechanism != CKM_RSA_PKCS_OAEP || !envelope ||
        in->ulParameterLen != sizeof(*envelope) || envelope->mgf != OURS)
        return CKR_OK;
    out->mechanism = (CK_MECHANISM){ .mechanism = envelope->hashAlg };
    len = envelope->ulSourceDataLen;
    if (!len)
        return CKR_OK;
    s = shape_of(envelope->hashAlg);
    if (!s || len < s->size || !envelope->pSourceData)
        return CKR_MECHANISM_PARAM_INVALID;
    out->bytes = malloc(len);
    if (!out->bytes)
        return CKR_HOST_MEMORY;
    memcpy(out->bytes, envelope->pSourceData, len);
    out->mechanism.pParameter = out->bytes;
    out->mechanism.ulParameterLen = s->size;
    return point(s, out->bytes, len);
}

static CK_RV word(kv_dialect_way way, const CK_MECHANISM *in, kv_worded *out)
{
    return way == KV_DIALECT_OUT ? wrap(in, out) : unwrap(in, out);
}

/* --- attributes --- */

typedef struct kv_phrased {
    CK_ATTRIBUTE *list;
    CK_ULONG count;
    void **nested; /* one for each, NULL for most */
} kv_phrased;

static void kv_phrased_cleanup(kv_phrased *phrased)
{
    for (CK_ULONG i = 0; phrased->nested && i < phrased->count; i++)
        free(phrased->nested[i]);
    free(phrased->nested);
    free(phrased->list);
}

static bool is_nested(CK_ATTRIBUTE_TYPE type)
{
    return type == CKA_WRAP_TEMPLATE || type == CKA_UNWRAP_TEMPLATE;
}

/* An array of attributes as bytes: type, length, value, one after the other. */
static CK_RV pack(CK_ATTRIBUTE *at, void **memory)
{
    const CK_ATTRIBUTE *inner = at->pValue;
    size_t count = at->ulValueLen / sizeof(*inner), len = 0;
    uint8_t *to;

    for (size_t i = 0; i < count; i++)
        len += 2 * sizeof(CK_ULONG) + inner[i].ulValueLen;
    to = *memory = malloc(len + 1);
    if (!to)
        return CKR_HOST_MEMORY;
    at->pValue = to;
    at->ulValueLen = len;
    for (size_t i = 0; i < count; i++) {
        memcpy(to, &inner[i].type, sizeof(CK_ULONG));
        memcpy(to + sizeof(CK_ULONG), &inner[i].ulValueLen, sizeof(CK_ULONG));
        to += 2 * sizeof(CK_ULONG);
        if (inner[i].ulValueLen)
            memcpy(to, inner[i].pValue, inner[i].ulValueLen);
        to += inner[i].ulValueLen;
    }
    return CKR_OK;
}

/* The way back: attributes first, then copies of their values. */
static CK_RV unpack(CK_ATTRIBUTE *at, void **memory)
{
    const uint8_t *from = at->pValue;
    size_t left = at->ulValueLen;
    size_t most = left / (2 * sizeof(CK_ULONG)), count = 0;
    CK_ATTRIBUTE *inner;
    uint8_t *values;

    if (left > MOST_BYTES || (left && !from))
        return CKR_ATTRIBUTE_VALUE_INVALID;
    inner = *memory = calloc(1, most * sizeof(*inner) + left + 1);
    if (!inner)
        return CKR_HOST_MEMORY;
    values = (uint8_t *)(inner + most);
    while (left >= 2 * sizeof(CK_ULONG)) {
        CK_ATTRIBUTE *one = &inner[count++];

        memcpy(&one->type, from, sizeof(CK_ULONG));
        memcpy(&one->ulValueLen, from + sizeof(CK_ULONG), sizeof(CK_ULONG));
        from += 2 * sizeof(CK_ULONG);
        left -= 2 * sizeof(CK_ULONG);
        if (one->ulValueLen > left)
            return CKR_ATTRIBUTE_VALUE_INVALID;
        memcpy(values, from, one->ulValueLen);
        one->pValue = values;
        values += one->ulValueLen;
        from += one->ulValueLen;
        left -= one->ulValueLen;
    }
    at->pValue = inner;
    at->ulValueLen = count * sizeof(*inner);
    return left ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_OK;
}

static CK_RV phrase_one(kv_dialect_way way, CK_ATTRIBUTE *at, void **memory)
{
    CK_RV rv = CKR_OK;

    if (way == KV_DIALECT_IN && !(at->type & UNKNOWN_TYPE))
        return CKR_OK;
    if (way == KV_DIALECT_OUT && is_nested(at->type))
        rv = pack(at, memory);
    at->type ^= UNKNOWN_TYPE;
    if (way == KV_DIALECT_IN && is_nested(at->type))
        rv = unpack(at, memory);
    return rv;
}

static CK_RV copy_list(const CK_ATTRIBUTE *list, CK_ULONG count, kv_phrased *out)
{
    out->list = calloc(count + 1, sizeof(*out->list));
    out->nested = calloc(count + 1, sizeof(*out->nested));
    if (!out->list || !out->nested)
        return CKR_HOST_MEMORY;
    out->count = count;
    if (count)
        memcpy(out->list, list, count * sizeof(*list));
    return CKR_OK;
}

/* A template that is given. */
static CK_RV phrase(kv_dialect_way way, const CK_ATTRIBUTE *list, CK_ULONG count, kv_phrased *out)
{
    CK_RV rv = copy_list(list, count, out);

    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
        rv = phrase_one(way, &out->list[i], &out->nested[i]);
    return rv;
}

/* --- functions --- */

static CK_RV ask_mechanisms(CK_FUNCTION_LIST *next, CK_SLOT_ID slot, CK_MECHANISM_TYPE *list,
                            CK_ULONG *count)
{
    CK_ATTRIBUTE as_bytes = { CKA_ALLOWED_MECHANISMS ^ UNKNOWN_TYPE, list,
                              list ? *count * sizeof(*list) : 0 };
    CK_RV rv = next->C_GetAttributeValue(slot, MECHANISMS, &as_bytes, 1);

    if (rv == CKR_OK)
        *count = as_bytes.ulValueLen / sizeof(*list);
    return rv;
}

static CK_RV tell_mechanisms(CK_FUNCTION_LIST *next, CK_SLOT_ID slot, CK_ATTRIBUTE *as_bytes)
{
    CK_MECHANISM_TYPE *list = as_bytes->pValue;
    CK_ULONG count = list ? as_bytes->ulValueLen / sizeof(*list) : 0;
    CK_ULONG room = list ? count : MOST_BYTES / sizeof(*list);
    CK_RV rv = next->C_GetMechanismList(slot, list, &count);

    rv = kv_rv_within(rv, count, room);
    if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
        as_bytes->ulValueLen = count * sizeof(*list);
    return rv;
}

CK_RV kv_dialect_C_GetMechanismList(kv_dialect_way way, CK_FUNCTION_LIST *next, CK_SLOT_ID slot,
                                    CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    return way == KV_DIALECT_OUT ? ask_mechanisms(next, slot, list, count)
                                 : next->C_GetMechanismList(slot, list, count);
}

CK_RV kv_dialect_C_GetAttributeValue(kv_dialect_way way, CK_FUNCTION_LIST *next,
                                     CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                     CK_ATTRIBUTE *list, CK_ULONG count)
{
    KV_AUTO(kv_phrased) asked = { 0 };
    CK_RV rv;

    if (way == KV_DIALECT_IN && object == MECHANISMS && count == 1)
        return tell_mechanisms(next, session, list);
    rv = copy_list(list, count, &asked);
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG i = 0; i < count; i++)
        if (way == KV_DIALECT_OUT || list[i].type & UNKNOWN_TYPE)
            asked.list[i].type ^= UNKNOWN_TYPE;
    rv = next->C_GetAttributeValue(session, object, asked.list, count);
    for (CK_ULONG i = 0; i < count; i++)
        list[i].ulValueLen = asked.list[i].ulValueLen;
    return rv;
}

CK_RV kv_dialect_C_CreateObject(kv_dialect_way way, CK_FUNCTION_LIST *next,
                                CK_SESSION_HANDLE session, CK_ATTRIBUTE *list, CK_ULONG count,
                                CK_OBJECT_HANDLE *out)
{
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = phrase(way, list, count, &given);

    return rv == CKR_OK ? next->C_CreateObject(session, given.list, count, out) : rv;
}

CK_RV kv_dialect_C_CopyObject(kv_dialect_way way, CK_FUNCTION_LIST *next, CK_SESSION_HANDLE session,
                              CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list, CK_ULONG count,
                              CK_OBJECT_HANDLE *out)
{
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = phrase(way, list, count, &given);

    return rv == CKR_OK ? next->C_CopyObject(session, object, given.list, count, out) : rv;
}

CK_RV kv_dialect_C_SetAttributeValue(kv_dialect_way way, CK_FUNCTION_LIST *next,
                                     CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                     CK_ATTRIBUTE *list, CK_ULONG count)
{
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = phrase(way, list, count, &given);

    return rv == CKR_OK ? next->C_SetAttributeValue(session, object, given.list, count) : rv;
}

CK_RV kv_dialect_C_FindObjectsInit(kv_dialect_way way, CK_FUNCTION_LIST *next,
                                   CK_SESSION_HANDLE session, CK_ATTRIBUTE *list, CK_ULONG count)
{
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = phrase(way, list, count, &given);

    return rv == CKR_OK ? next->C_FindObjectsInit(session, given.list, count) : rv;
}

CK_RV kv_dialect_C_EncryptInit(kv_dialect_way way, CK_FUNCTION_LIST *next,
                               CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                               CK_OBJECT_HANDLE key)
{
    KV_AUTO(kv_worded) how = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    return rv == CKR_OK ? next->C_EncryptInit(session, &how.mechanism, key) : rv;
}

CK_RV kv_dialect_C_DecryptInit(kv_dialect_way way, CK_FUNCTION_LIST *next,
                               CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                               CK_OBJECT_HANDLE key)
{
    KV_AUTO(kv_worded) how = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    return rv == CKR_OK ? next->C_DecryptInit(session, &how.mechanism, key) : rv;
}

CK_RV kv_dialect_C_SignInit(kv_dialect_way way, CK_FUNCTION_LIST *next, CK_SESSION_HANDLE session,
                            CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    KV_AUTO(kv_worded) how = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    return rv == CKR_OK ? next->C_SignInit(session, &how.mechanism, key) : rv;
}

CK_RV kv_dialect_C_GenerateKey(kv_dialect_way way, CK_FUNCTION_LIST *next,
                               CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                               CK_ATTRIBUTE *list, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    KV_AUTO(kv_worded) how = { 0 };
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    if (rv == CKR_OK)
        rv = phrase(way, list, count, &given);
    return rv == CKR_OK ? next->C_GenerateKey(session, &how.mechanism, given.list, count, out) : rv;
}

CK_RV kv_dialect_C_GenerateKeyPair(kv_dialect_way way, CK_FUNCTION_LIST *next,
                                   CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                                   CK_ATTRIBUTE *public, CK_ULONG public_count,
                                   CK_ATTRIBUTE *private, CK_ULONG private_count,
                                   CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    KV_AUTO(kv_worded) how = { 0 };
    KV_AUTO(kv_phrased) given_public = { 0 };
    KV_AUTO(kv_phrased) given_private = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    if (rv == CKR_OK)
        rv = phrase(way, public, public_count, &given_public);
    if (rv == CKR_OK)
        rv = phrase(way, private, private_count, &given_private);
    if (rv != CKR_OK)
        return rv;
    return next->C_GenerateKeyPair(session, &how.mechanism, given_public.list, public_count,
                                   given_private.list, private_count, public_key, private_key);
}

CK_RV kv_dialect_C_WrapKey(kv_dialect_way way, CK_FUNCTION_LIST *next, CK_SESSION_HANDLE session,
                           CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                           CK_BYTE *out, CK_ULONG *len)
{
    KV_AUTO(kv_worded) how = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    return rv == CKR_OK ? next->C_WrapKey(session, &how.mechanism, wrapping, key, out, len) : rv;
}

CK_RV kv_dialect_C_UnwrapKey(kv_dialect_way way, CK_FUNCTION_LIST *next, CK_SESSION_HANDLE session,
                             CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_BYTE *wrapped,
                             CK_ULONG len, CK_ATTRIBUTE *list, CK_ULONG count,
                             CK_OBJECT_HANDLE *out)
{
    KV_AUTO(kv_worded) how = { 0 };
    KV_AUTO(kv_phrased) given = { 0 };
    CK_RV rv = word(way, mechanism, &how);

    if (rv == CKR_OK)
        rv = phrase(way, list, count, &given);
    if (rv != CKR_OK)
        return rv;
    return next->C_UnwrapKey(session, &how.mechanism, wrapping, wrapped, len, given.list, count,
                             out);
}
