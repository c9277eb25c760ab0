/* fake_token.c - the fake's module, slots, sessions and faults. */
#include <string.h>

#include "tests/support/fake_inside.h"

/* Cryptoki's functions have no context, so a fake of them cannot do without this. */
fake_state kv_fake_state = { .lock = PTHREAD_MUTEX_INITIALIZER,
                             .released = PTHREAD_COND_INITIALIZER };

const CK_MECHANISM_TYPE kv_fake_mechanisms[] = {
    CKM_RSA_PKCS_KEY_PAIR_GEN,
    CKM_RSA_PKCS,
    CKM_RSA_PKCS_PSS,
    CKM_RSA_PKCS_OAEP,
    CKM_EC_KEY_PAIR_GEN,
    CKM_ECDSA,
    CKM_AES_KEY_GEN,
    CKM_AES_GCM,
    CKM_AES_KEY_WRAP_PAD,
    CKM_SHA256_HMAC,
    CKM_SHA384_HMAC,
    CKM_SHA512_HMAC,
    CKM_EC_EDWARDS_KEY_PAIR_GEN,
    CKM_EDDSA,
    CKM_RSA_X_509,
    CKM_AES_CBC,
    CKM_AES_CBC_PAD,
    CKM_AES_KEY_WRAP,
    CKM_GENERIC_SECRET_KEY_GEN,
};
const unsigned kv_fake_mechanism_count = sizeof(kv_fake_mechanisms) / sizeof(kv_fake_mechanisms[0]);

static fake_state *const fake = &kv_fake_state;

static bool fault_is_due(const char *function)
{
    if (fake->fail_in && --fake->fail_in == 0)
        return true;
    if (!fake->fail_times || strcmp(fake->fail_function, function) != 0)
        return false;
    fake->fail_times--;
    return true;
}

CK_RV kv_fake_begin(const char *function)
{
    pthread_mutex_lock(&fake->lock);
    if (fake->hanging && !strcmp(fake->hanging, function))
        fake->counts.hung++;
    while (fake->hanging && !strcmp(fake->hanging, function))
        pthread_cond_wait(&fake->released, &fake->lock);
    fake->counts.calls++;
    if (!strcmp(function, "C_Login"))
        fake->counts.logins++;
    if (fault_is_due(function)) {
        fake->failed = true;
        return kv_fake_end(fake->fail_rv);
    }
    if (!fake->initialised && strcmp(function, "C_Initialize") != 0)
        return kv_fake_end(CKR_CRYPTOKI_NOT_INITIALIZED);
    return CKR_OK;
}

CK_RV kv_fake_end(CK_RV rv)
{
    pthread_mutex_unlock(&fake->lock);
    return rv;
}

static CK_RV initialise(void *arguments)
{
    CK_RV rv = kv_fake_begin("C_Initialize");

    (void)arguments;
    if (rv != CKR_OK)
        return rv;
    if (fake->initialised)
        return kv_fake_end(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    fake->initialised = true;
    fake->wedged = fake->gone;
    fake->counts.initialised++;
    return kv_fake_end(CKR_OK);
}

static void close_session(fake_session *session)
{
    kv_fake_drop_session_objects(session->handle);
    *session = (fake_session){ 0 };
    fake->counts.sessions_closed++;
    fake->counts.sessions_now--;
}

static CK_RV finalise(void *reserved)
{
    CK_RV rv = kv_fake_begin("C_Finalize");

    (void)reserved;
    if (rv != CKR_OK)
        return rv;
    for (unsigned i = 0; i < FAKE_SESSIONS; i++)
        if (fake->sessions[i].handle)
            close_session(&fake->sessions[i]);
    memset(fake->logged_in, 0, sizeof(fake->logged_in));
    fake->initialised = false;
    fake->counts.finalised++;
    return kv_fake_end(CKR_OK);
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    CK_RV rv = kv_fake_begin("C_GetSlotList");
    unsigned there;

    (void)present;
    if (rv != CKR_OK)
        return rv;
    there = fake->wedged ? 0 : fake->token_count;
    for (unsigned i = 0; slots && i < there && i < *count; i++)
        slots[i] = i;
    *count = there;
    return kv_fake_end(CKR_OK);
}

static void padded(CK_UTF8CHAR *out, size_t len, const char *text)
{
    memset(out, ' ', len);
    memcpy(out, text, strlen(text));
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv = kv_fake_begin("C_GetTokenInfo");
    char serial[17] = "fake000000000000";

    if (rv != CKR_OK)
        return rv;
    if (slot >= fake->token_count)
        return kv_fake_end(CKR_SLOT_ID_INVALID);
    serial[15] = (char)('0' + slot);
    *info = (CK_TOKEN_INFO){ .flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED |
                                      CKF_LOGIN_REQUIRED | CKF_RNG };
    padded(info->label, sizeof(info->label), fake->labels[slot]);
    padded(info->manufacturerID, sizeof(info->manufacturerID), "fake");
    padded(info->model, sizeof(info->model), "in memory");
    memcpy(info->serialNumber, serial, sizeof(info->serialNumber));
    return kv_fake_end(CKR_OK);
}

bool kv_fake_has(CK_MECHANISM_TYPE mechanism)
{
    for (unsigned i = 0; i < kv_fake_mechanism_count; i++)
        if (kv_fake_mechanisms[i] == mechanism)
            return mechanism != fake->without;
    return false;
}

static CK_RV get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    CK_RV rv = kv_fake_begin("C_GetMechanismList");
    CK_ULONG n = 0;

    (void)slot;
    if (rv != CKR_OK)
        return rv;
    for (unsigned i = 0; i < kv_fake_mechanism_count; i++) {
        if (!kv_fake_has(kv_fake_mechanisms[i]))
            continue;
        if (list && n < *count)
            list[n] = kv_fake_mechanisms[i];
        n++;
    }
    *count = n;
    return kv_fake_end(CKR_OK);
}

fake_session *kv_fake_session(CK_SESSION_HANDLE handle)
{
    for (unsigned i = 0; handle && i < FAKE_SESSIONS; i++)
        if (fake->sessions[i].handle == handle)
            return &fake->sessions[i];
    return NULL;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *out)
{
    CK_RV rv = kv_fake_begin("C_OpenSession");

    (void)flags;
    (void)application;
    (void)notify;
    if (rv != CKR_OK)
        return rv;
    if (slot >= fake->token_count)
        return kv_fake_end(CKR_SLOT_ID_INVALID);
    for (unsigned i = 0; i < FAKE_SESSIONS; i++) {
        if (fake->sessions[i].handle)
            continue;
        fake->sessions[i] = (fake_session){ .handle = ++fake->next_handle, .slot = slot };
        *out = fake->sessions[i].handle;
        fake->counts.sessions_opened++;
        fake->counts.sessions_now++;
        return kv_fake_end(CKR_OK);
    }
    return kv_fake_end(CKR_SESSION_COUNT);
}

static CK_RV close_by_handle(CK_SESSION_HANDLE handle)
{
    CK_RV rv = kv_fake_begin("C_CloseSession");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session)
        return kv_fake_end(CKR_SESSION_HANDLE_INVALID);
    close_session(session);
    return kv_fake_end(CKR_OK);
}

static CK_RV log_in(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
    CK_RV rv = kv_fake_begin("C_Login");
    fake_session *session;

    if (rv != CKR_OK)
        return rv;
    session = kv_fake_session(handle);
    if (!session || user != CKU_USER)
        return kv_fake_end(session ? CKR_USER_TYPE_INVALID : CKR_SESSION_HANDLE_INVALID);
    if (len != strlen(KV_FAKE_PIN) || memcmp(pin, KV_FAKE_PIN, len) != 0)
        return kv_fake_end(CKR_PIN_INCORRECT);
    if (fake->logged_in[session->slot])
        return kv_fake_end(CKR_USER_ALREADY_LOGGED_IN);
    fake->logged_in[session->slot] = true;
    return kv_fake_end(CKR_OK);
}

static CK_FUNCTION_LIST functions = {
    .version = { 2, 40 },
    .C_Initialize = initialise,
    .C_Finalize = finalise,
    .C_GetSlotList = get_slot_list,
    .C_GetTokenInfo = get_token_info,
    .C_GetMechanismList = get_mechanism_list,
    .C_OpenSession = open_session,
    .C_CloseSession = close_by_handle,
    .C_Login = log_in,
    .C_CreateObject = kv_fake_create,
    .C_CopyObject = kv_fake_copy,
    .C_DestroyObject = kv_fake_destroy,
    .C_GetAttributeValue = kv_fake_get,
    .C_SetAttributeValue = kv_fake_set_attributes,
    .C_FindObjectsInit = kv_fake_find_init,
    .C_FindObjects = kv_fake_find,
    .C_FindObjectsFinal = kv_fake_find_final,
    .C_SignInit = kv_fake_sign_init,
    .C_Sign = kv_fake_sign,
    .C_EncryptInit = kv_fake_encrypt_init,
    .C_Encrypt = kv_fake_encrypt,
    .C_DecryptInit = kv_fake_decrypt_init,
    .C_Decrypt = kv_fake_decrypt,
    .C_GenerateKey = kv_fake_generate_key,
    .C_GenerateKeyPair = kv_fake_generate_pair,
    .C_WrapKey = kv_fake_wrap,
    .C_UnwrapKey = kv_fake_unwrap,
    .C_GenerateRandom = kv_fake_random,
};

static void forget(void)
{
    fake_object *object;

    while ((object = fake->objects)) {
        fake->objects = object->next;
        kv_fake_object_free(object);
    }
    memset(fake->sessions, 0, sizeof(fake->sessions));
    memset(fake->logged_in, 0, sizeof(fake->logged_in));
    fake->initialised = fake->gone = fake->wedged = fake->failed = false;
    fake->token_count = fake->fail_in = fake->fail_times = 0;
    fake->without = KV_FAKE_ALL;
    fake->hanging = NULL;
    fake->counts = (kv_fake_counts){ 0 };
}

CK_FUNCTION_LIST *kv_fake_new(const char *const *labels)
{
    pthread_mutex_lock(&fake->lock);
    forget();
    for (; labels[fake->token_count]; fake->token_count++)
        strncpy(fake->labels[fake->token_count], labels[fake->token_count], 32);
    pthread_mutex_unlock(&fake->lock);
    return &functions;
}

void kv_fake_free(void)
{
    pthread_mutex_lock(&fake->lock);
    forget();
    pthread_mutex_unlock(&fake->lock);
}

kv_fake_counts kv_fake_seen(void)
{
    kv_fake_counts counts;

    pthread_mutex_lock(&fake->lock);
    fake->counts.session_objects = fake->counts.token_objects = 0;
    for (const fake_object *object = fake->objects; object; object = object->next) {
        if (object->owner)
            fake->counts.session_objects++;
        else
            fake->counts.token_objects++;
    }
    counts = fake->counts;
    pthread_mutex_unlock(&fake->lock);
    return counts;
}

void kv_fake_fail_call(unsigned n, CK_RV rv)
{
    pthread_mutex_lock(&fake->lock);
    fake->fail_in = n;
    fake->fail_rv = rv;
    fake->fail_times = 0;
    fake->failed = false;
    pthread_mutex_unlock(&fake->lock);
}

void kv_fake_fail(const char *function, CK_RV rv, unsigned times)
{
    pthread_mutex_lock(&fake->lock);
    fake->fail_in = 0;
    fake->fail_function = function;
    fake->fail_rv = rv;
    fake->fail_times = times;
    fake->failed = false;
    pthread_mutex_unlock(&fake->lock);
}

bool kv_fake_failed(void)
{
    bool failed;

    pthread_mutex_lock(&fake->lock);
    failed = fake->failed;
    pthread_mutex_unlock(&fake->lock);
    return failed;
}

void kv_fake_gone(bool gone)
{
    pthread_mutex_lock(&fake->lock);
    fake->gone = gone;
    fake->wedged = fake->wedged || gone;
    pthread_mutex_unlock(&fake->lock);
}

void kv_fake_without(CK_MECHANISM_TYPE mechanism)
{
    pthread_mutex_lock(&fake->lock);
    fake->without = mechanism;
    pthread_mutex_unlock(&fake->lock);
}

void kv_fake_hang(const char *function)
{
    pthread_mutex_lock(&fake->lock);
    fake->hanging = function;
    pthread_cond_broadcast(&fake->released);
    pthread_mutex_unlock(&fake->lock);
}
