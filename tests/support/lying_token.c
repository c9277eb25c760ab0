/* lying_token.c - the functions of the liar: each says what it reads and what it writes. */
#include "tests/support/lying_token.h"

#include <stdint.h>
#include <string.h>

#include <openssl/err.h>

/* clang-format off */
#define FUNCTIONS(X) \
    X(Initialize) X(Finalize) X(GetSlotList) X(GetTokenInfo) X(GetMechanismList) X(OpenSession) \
    X(CloseSession) X(Login) X(CreateObject) X(CopyObject) X(DestroyObject) X(GetAttributeValue) \
    X(SetAttributeValue) X(FindObjectsInit) X(FindObjects) X(FindObjectsFinal) X(SignInit) \
    X(Sign) X(EncryptInit) X(Encrypt) X(DecryptInit) X(Decrypt) X(GenerateKey) \
    X(GenerateKeyPair) X(WrapKey) X(UnwrapKey) X(GenerateRandom)
/* clang-format on */

#define NUMBER(name) F_##name,
#define NAME(name)   "C_" #name,
enum { FUNCTIONS(NUMBER) FUNCTION_COUNT };
static const char *const names[] = { FUNCTIONS(NAME) };

enum { ROOMS = 32 };

/* Cryptoki's functions have no context, so the liar cannot do without this. */
static struct liar {
    CK_FUNCTION_LIST *truth;
    kv_lie lies[KV_LIES_MAX];
    size_t lie_count;
    unsigned calls[FUNCTION_COUNT];
    unsigned long all_calls;
    CK_OBJECT_HANDLE kept;
    CK_OBJECT_HANDLE disowned[2]; /* what the last call that disowned its work had made */
    bool undone;
    uint8_t read; /* keeps what is read from being optimised away */
} liar;

/* Something that a call writes. */
typedef struct room {
    uint8_t *data;  /* NULL: none was given */
    size_t size;    /* bytes */
    CK_ULONG *told; /* how many units there are; NULL: all */
    size_t unit;    /* bytes */
} room;

typedef struct answer {
    const kv_lie *lie; /* NULL: the truth */
    room rooms[ROOMS];
    unsigned room_count;
    CK_ULONG *handles[2];
    unsigned handle_count;
    CK_ATTRIBUTE *attributes;
    CK_ULONG attribute_count;
} answer;

const char *kv_liar_function(size_t index)
{
    return index < FUNCTION_COUNT ? names[index] : NULL;
}

static bool applies(const kv_lie *lie, unsigned function)
{
    unsigned call = liar.calls[function];

    return (!lie->function || !strcmp(lie->function, names[function])) && call >= lie->first &&
           (lie->times == KV_LIE_FOR_EVER || call - lie->first < lie->times);
}

static answer begin(unsigned function)
{
    answer a = { 0 };

    liar.calls[function]++;
    liar.all_calls++;
    for (size_t i = 0; i < liar.lie_count && !a.lie; i++)
        if (applies(&liar.lies[i], function))
            a.lie = &liar.lies[i];
    return a;
}

static void takes(const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; bytes && i < len; i++)
        liar.read ^= bytes[i];
}

static void takes_mechanism(const CK_MECHANISM *mechanism)
{
    takes(mechanism->pParameter, mechanism->ulParameterLen);
}

static void takes_template(const CK_ATTRIBUTE *items, CK_ULONG count)
{
    for (CK_ULONG i = 0; i < count; i++)
        takes(items[i].pValue, items[i].ulValueLen);
}

static void gives(answer *a, void *data, size_t units, CK_ULONG *told, size_t unit)
{
    if (a->room_count < ROOMS)
        a->rooms[a->room_count++] = (room){ data, data ? units * unit : 0, told, unit };
}

static void gives_handle(answer *a, CK_ULONG *handle)
{
    a->handles[a->handle_count++] = handle;
}

static bool silent(const answer *a)
{
    return a->lie && (a->lie->kind == KV_LIE_REFUSE || a->lie->kind == KV_LIE_IDLE);
}

static CK_RV said(const answer *a)
{
    return a->lie->kind == KV_LIE_REFUSE ? a->lie->value : CKR_OK;
}

static void tell_lengths(const answer *a)
{
    for (unsigned i = 0; i < a->room_count; i++) {
        const room *r = &a->rooms[i];

        if (!r->told)
            continue;
        if (a->lie->kind == KV_LIE_LENGTH)
            *r->told = a->lie->value;
        else if (a->lie->kind == KV_LIE_BEYOND)
            *r->told = r->size / r->unit + a->lie->value;
        else
            *r->told += a->lie->value;
    }
}

static void fill(const answer *a)
{
    for (unsigned i = 0; i < a->room_count; i++) {
        const room *r = &a->rooms[i];

        if (r->data)
            memset(r->data, (int)(a->lie->value & 0xff), r->size);
        if (r->data && r->told)
            *r->told = r->size / r->unit;
    }
}

/* How many bytes the truth has written into a room. */
static size_t written(const room *r)
{
    size_t len = r->told && *r->told < r->size / r->unit ? *r->told * r->unit : r->size;

    return r->data ? len : 0;
}

static void flip(const answer *a)
{
    size_t total = 0, at;

    for (unsigned i = 0; i < a->room_count; i++)
        total += written(&a->rooms[i]);
    if (!total)
        return;
    at = a->lie->value / 8 % total;
    for (unsigned i = 0; i < a->room_count; i++) {
        size_t len = written(&a->rooms[i]);

        if (at < len) {
            a->rooms[i].data[at] ^= (uint8_t)(1 << a->lie->value % 8);
            return;
        }
        at -= len;
    }
}

/* The truth has been done and returned `rv`. */
static CK_RV end(const answer *a, CK_RV rv)
{
    if (!a->lie)
        return rv;
    /* Who lies about a failure hides what it left in the OpenSSL that is shared. */
    if (a->lie->kind >= KV_LIE_LENGTH)
        ERR_clear_error();
    switch (a->lie->kind) {
    case KV_LIE_DISOWN:
        for (unsigned i = 0; i < a->handle_count; i++)
            liar.disowned[i] = *a->handles[i];
        return a->lie->value;
    case KV_LIE_LENGTH:
    case KV_LIE_BEYOND:
    case KV_LIE_OFF:
        tell_lengths(a);
        return CKR_OK;
    case KV_LIE_BYTES:
        fill(a);
        return CKR_OK;
    case KV_LIE_FLIP:
        flip(a);
        return rv;
    case KV_LIE_HANDLE:
        for (unsigned i = 0; i < a->handle_count; i++)
            *a->handles[i] = a->lie->value;
        return CKR_OK;
    case KV_LIE_POINTER:
        for (CK_ULONG i = 0; i < a->attribute_count; i++)
            a->attributes[i].pValue = NULL;
        return rv;
    case KV_LIE_REFUSE:
    case KV_LIE_IDLE:
    case KV_LIE_KINDS:
        break;
    }
    return rv;
}

/* What a call says and does: its lie, or the truth and what the lie makes of it. */
#define ANSWER(a, call) (silent(&(a)) ? said(&(a)) : end(&(a), liar.truth->call))

/* Calls that write nothing. */
#define PLAIN(function, name, type)           \
    static CK_RV name(type what)              \
    {                                         \
        answer a = begin(F_##function);       \
                                              \
        return ANSWER(a, C_##function(what)); \
    }

PLAIN(Initialize, initialise, void *)
PLAIN(Finalize, finalise, void *)
PLAIN(CloseSession, close_session, CK_SESSION_HANDLE)
PLAIN(FindObjectsFinal, find_final, CK_SESSION_HANDLE)

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    answer a = begin(F_GetSlotList);

    gives(&a, slots, *count, count, sizeof(*slots));
    return ANSWER(a, C_GetSlotList(present, slots, count));
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    answer a = begin(F_GetTokenInfo);

    gives(&a, info, sizeof(*info), NULL, 1);
    return ANSWER(a, C_GetTokenInfo(slot, info));
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    answer a = begin(F_GetMechanismList);

    gives(&a, list, *count, count, sizeof(*list));
    return ANSWER(a, C_GetMechanismList(slot, list, count));
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *out)
{
    answer a = begin(F_OpenSession);

    gives_handle(&a, out);
    return ANSWER(a, C_OpenSession(slot, flags, application, notify, out));
}

static CK_RV log_in(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    answer a = begin(F_Login);

    takes(pin, len);
    return ANSWER(a, C_Login(session, user, pin, len));
}

static CK_RV create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE *items, CK_ULONG count,
                           CK_OBJECT_HANDLE *out)
{
    answer a = begin(F_CreateObject);

    takes_template(items, count);
    gives_handle(&a, out);
    return ANSWER(a, C_CreateObject(session, items, count, out));
}

static CK_RV copy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *items,
                         CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    answer a = begin(F_CopyObject);

    takes_template(items, count);
    gives_handle(&a, out);
    return ANSWER(a, C_CopyObject(session, object, items, count, out));
}

static CK_RV destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    answer a = begin(F_DestroyObject);

    liar.undone =
        liar.undone || (object && (object == liar.disowned[0] || object == liar.disowned[1]));
    if (object && object <= liar.kept)
        return silent(&a) ? said(&a) : CKR_ACTION_PROHIBITED;
    return ANSWER(a, C_DestroyObject(session, object));
}

static CK_RV get_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *items,
                            CK_ULONG count)
{
    answer a = begin(F_GetAttributeValue);

    for (CK_ULONG i = 0; i < count; i++)
        gives(&a, items[i].pValue, items[i].ulValueLen, &items[i].ulValueLen, 1);
    a.attributes = items;
    a.attribute_count = count;
    return ANSWER(a, C_GetAttributeValue(session, object, items, count));
}

static CK_RV set_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *items,
                            CK_ULONG count)
{
    answer a = begin(F_SetAttributeValue);

    takes_template(items, count);
    if (object && object <= liar.kept)
        return silent(&a) ? said(&a) : CKR_ATTRIBUTE_READ_ONLY;
    return ANSWER(a, C_SetAttributeValue(session, object, items, count));
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *items, CK_ULONG count)
{
    answer a = begin(F_FindObjectsInit);

    takes_template(items, count);
    return ANSWER(a, C_FindObjectsInit(session, items, count));
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *list, CK_ULONG most, CK_ULONG *count)
{
    answer a = begin(F_FindObjects);

    gives(&a, list, most, count, sizeof(*list));
    return ANSWER(a, C_FindObjects(session, list, most, count));
}

/* C_SignInit and its like. */
#define START(function, name)                                                                   \
    static CK_RV name(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) \
    {                                                                                           \
        answer a = begin(F_##function);                                                         \
                                                                                                \
        takes_mechanism(mechanism);                                                             \
        return ANSWER(a, C_##function(session, mechanism, key));                                \
    }

/* C_Sign and its like. */
#define TURN(function, name)                                                                 \
    static CK_RV name(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, \
                      CK_ULONG *out_len)                                                     \
    {                                                                                        \
        answer a = begin(F_##function);                                                      \
                                                                                             \
        takes(in, in_len);                                                                   \
        gives(&a, out, *out_len, out_len, 1);                                                \
        return ANSWER(a, C_##function(session, in, in_len, out, out_len));                   \
    }

START(SignInit, sign_init)
START(EncryptInit, encrypt_init)
START(DecryptInit, decrypt_init)
TURN(Sign, sign)
TURN(Encrypt, encrypt)
TURN(Decrypt, decrypt)

static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *items,
                          CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    answer a = begin(F_GenerateKey);

    takes_mechanism(mechanism);
    takes_template(items, count);
    gives_handle(&a, out);
    return ANSWER(a, C_GenerateKey(session, mechanism, items, count, out));
}

static CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public,
                           CK_ULONG public_count, CK_ATTRIBUTE *private, CK_ULONG private_count,
                           CK_OBJECT_HANDLE *public_out, CK_OBJECT_HANDLE *private_out)
{
    answer a = begin(F_GenerateKeyPair);

    takes_mechanism(mechanism);
    takes_template(public, public_count);
    takes_template(private, private_count);
    gives_handle(&a, public_out);
    gives_handle(&a, private_out);
    return ANSWER(a, C_GenerateKeyPair(session, mechanism, public, public_count, private,
                                       private_count, public_out, private_out));
}

static CK_RV wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with,
                      CK_OBJECT_HANDLE what, CK_BYTE *out, CK_ULONG *out_len)
{
    answer a = begin(F_WrapKey);

    takes_mechanism(mechanism);
    gives(&a, out, *out_len, out_len, 1);
    return ANSWER(a, C_WrapKey(session, mechanism, with, what, out, out_len));
}

static CK_RV unwrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with,
                        CK_BYTE *in, CK_ULONG in_len, CK_ATTRIBUTE *items, CK_ULONG count,
                        CK_OBJECT_HANDLE *out)
{
    answer a = begin(F_UnwrapKey);

    takes_mechanism(mechanism);
    takes(in, in_len);
    takes_template(items, count);
    gives_handle(&a, out);
    return ANSWER(a, C_UnwrapKey(session, mechanism, with, in, in_len, items, count, out));
}

static CK_RV generate_random(CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG len)
{
    answer a = begin(F_GenerateRandom);

    gives(&a, out, len, NULL, 1);
    return ANSWER(a, C_GenerateRandom(session, out, len));
}

static CK_FUNCTION_LIST functions = {
    .version = { 2, 40 },
    .C_Initialize = initialise,
    .C_Finalize = finalise,
    .C_GetSlotList = get_slot_list,
    .C_GetTokenInfo = get_token_info,
    .C_GetMechanismList = get_mechanism_list,
    .C_OpenSession = open_session,
    .C_CloseSession = close_session,
    .C_Login = log_in,
    .C_CreateObject = create_object,
    .C_CopyObject = copy_object,
    .C_DestroyObject = destroy_object,
    .C_GetAttributeValue = get_attributes,
    .C_SetAttributeValue = set_attributes,
    .C_FindObjectsInit = find_init,
    .C_FindObjects = find,
    .C_FindObjectsFinal = find_final,
    .C_SignInit = sign_init,
    .C_Sign = sign,
    .C_EncryptInit = encrypt_init,
    .C_Encrypt = encrypt,
    .C_DecryptInit = decrypt_init,
    .C_Decrypt = decrypt,
    .C_GenerateKey = generate_key,
    .C_GenerateKeyPair = generate_pair,
    .C_WrapKey = wrap_key,
    .C_UnwrapKey = unwrap_key,
    .C_GenerateRandom = generate_random,
};

CK_FUNCTION_LIST *kv_liar_new(CK_FUNCTION_LIST *truth)
{
    liar = (struct liar){ .truth = truth };
    return &functions;
}

void kv_liar_tell(const kv_lie *lies, size_t count)
{
    liar.lie_count = count < KV_LIES_MAX ? count : KV_LIES_MAX;
    for (size_t i = 0; i < liar.lie_count; i++)
        liar.lies[i] = lies[i];
    memset(liar.calls, 0, sizeof(liar.calls));
    liar.all_calls = 0;
    liar.disowned[0] = liar.disowned[1] = CK_INVALID_HANDLE;
    liar.undone = false;
}

bool kv_liar_undone(void)
{
    return liar.undone;
}

void kv_liar_keep(CK_OBJECT_HANDLE last)
{
    liar.kept = last;
}

unsigned long kv_liar_calls(void)
{
    return liar.all_calls;
}

unsigned kv_liar_calls_of(const char *function)
{
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        if (!strcmp(names[i], function))
            return liar.calls[i];
    return 0;
}
