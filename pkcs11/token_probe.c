/* token_probe.c - is the token really there: an object on it, and a known answer.
 *
 * Session objects go on working while the token's own objects are dead, so the probe reads a small
 * data object that lives on the token.
 */
#include <stdlib.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_cipher.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_try.h"

static const char application[] = "keyvault", label[] = "probe", value[] = "keyvault probe 1";

/* A public test vector's key: it protects nothing. */
static const uint8_t known_key[32];
static const uint8_t known_iv[KV_GCM_IV_BYTES];
static const uint8_t known_plain[16];
/* GCM specification, test case 14: AES-256 with zeros throughout. */
static const uint8_t known_sealed[] = { 0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e,
                                        0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
                                        0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0,
                                        0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19 };

/* RFC 3394, with the same key: 16 zeros. */
static const uint8_t known_wrapped[] = { 0xb5, 0x95, 0xa1, 0xc0, 0xaf, 0xbe, 0x7a, 0x89,
                                         0xce, 0x43, 0x80, 0x7c, 0xb3, 0xb2, 0xba, 0x57,
                                         0x37, 0xff, 0x5d, 0x71, 0xd0, 0xa3, 0x5c, 0xd7 };

enum { NOT_TRIED, UNWRAPS, NEVER_DID };

static bool holds(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                  const char *text)
{
    uint8_t got[sizeof(value)];
    size_t len = sizeof(got);

    return kv_object_has(visit, object, type, got, &len) && len == strlen(text) &&
           !memcmp(got, text, len);
}

/* Of the data objects that were seen on the token. */
static bool pick_object(kv_token_visit *visit, const CK_OBJECT_HANDLE *data, size_t count,
                        CK_OBJECT_HANDLE *out)
{
    for (size_t i = 0; i < count; i++)
        if (holds(visit, data[i], CKA_LABEL, label) &&
            holds(visit, data[i], CKA_APPLICATION, application) &&
            holds(visit, data[i], CKA_VALUE, value) &&
            kv_object_flag(visit, data[i], CKA_PRIVATE) == KV_FLAG_TRUE) {
            *out = data[i];
            return true;
        }
    return false;
}

static kv_status make_object(kv_token_visit *visit, CK_OBJECT_HANDLE *out, kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_APPLICATION, (void *)(uintptr_t)application, sizeof(application) - 1 },
        { CKA_LABEL, (void *)(uintptr_t)label, sizeof(label) - 1 },
        { CKA_VALUE, (void *)(uintptr_t)value, sizeof(value) - 1 },
    };
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;
    CK_RV rv;

    KV_TRY(kv_objects_find(visit, template, KV_COUNT(template), &list, &found, err));
    if (found) {
        *out = list[0];
        return KV_OK;
    }
    rv = visit->f->C_CreateObject(visit->session, template, KV_COUNT(template), out);
    rv = kv_rv_made(rv, out);
    return rv == CKR_OK ? KV_OK : kv_token_failed(visit, rv, "C_CreateObject", err);
}

/* A session object that decrypts, or one that unwraps: no key does both. */
static CK_RV make_key(kv_token_visit *visit, bool unwraps, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE, opens = !unwraps, unwrapping = unwraps;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &no, sizeof(no) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_ENCRYPT, &opens, sizeof(opens) },
        { CKA_DECRYPT, &opens, sizeof(opens) },
        { CKA_WRAP, &no, sizeof(no) },
        { CKA_UNWRAP, &unwrapping, sizeof(unwrapping) },
        { CKA_VALUE, (void *)(uintptr_t)known_key, sizeof(known_key) },
    };
    CK_RV rv = visit->f->C_CreateObject(visit->session, template, KV_COUNT(template), out);

    return kv_rv_made(rv, out);
}

static bool unwraps_known(kv_token_visit *visit)
{
    KV_AUTO(kv_secret_buf) plain = KV_SECRET_NONE;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    kv_error ignored;
    CK_RV rv = CKR_OK;
    bool good = make_key(visit, true, &key) == CKR_OK &&
                kv_token_unwrap_by(visit, key, CKM_AES_KEY_WRAP,
                                   kv_slice_of(known_wrapped, sizeof(known_wrapped)), &rv, &plain,
                                   &ignored) == KV_OK &&
                rv == CKR_OK &&
                kv_secret_buf_equal(&plain, kv_slice_of(known_plain, sizeof(known_plain)));

    kv_token_discard(visit, &key);
    return good;
}

kv_status kv_token_probe_make(kv_token *token, const CK_OBJECT_HANDLE *data, size_t count,
                              kv_error *err)
{
    kv_token_visit visit = { .token = token,
                             .f = token->module->functions,
                             .session = token->owner };
    CK_RV rv = CKR_OK;

    if (!pick_object(&visit, data, count, &token->probe_object))
        KV_TRY(make_object(&visit, &token->probe_object, err));
    /* A token without GCM (one for certification authorities, say) is known by the object alone. */
    if (kv_token_supports(token, CKM_AES_GCM))
        rv = make_key(&visit, false, &token->probe_key);
    if (rv != CKR_OK)
        return kv_token_failed(&visit, rv, "C_CreateObject", err);
    return KV_OK;
}

static bool object_is_there(kv_token_visit *visit)
{
    uint8_t got[sizeof(value)];
    size_t len = sizeof(got);
    kv_error ignored;

    return kv_object_bytes(visit, visit->token->probe_object, CKA_VALUE, got, &len, &ignored) ==
               KV_OK &&
           len == sizeof(value) - 1 && !memcmp(got, value, len);
}

bool kv_token_probe_inside(kv_token_visit *visit)
{
    uint8_t sealed[sizeof(known_sealed)];
    size_t len = sizeof(sealed);
    bool good = object_is_there(visit);

    if (good && visit->token->probe_key != CK_INVALID_HANDLE)
        good = kv_token_gcm_by(visit, visit->token->probe_key, true, known_iv,
                               kv_slice_of(known_plain, sizeof(known_plain)), KV_SLICE_NONE, sealed,
                               &len) == CKR_OK &&
               len == sizeof(sealed) && !memcmp(sealed, known_sealed, len);
    visit->spoiled = visit->spoiled || !good;
    return good;
}

bool kv_token_probe_opens(kv_token_visit *visit)
{
    uint8_t plain[sizeof(known_sealed)];
    size_t len = sizeof(plain);

    return visit->token->probe_key == CK_INVALID_HANDLE ||
           (kv_token_gcm_by(visit, visit->token->probe_key, false, known_iv,
                            kv_slice_of(known_sealed, sizeof(known_sealed)), KV_SLICE_NONE, plain,
                            &len) == CKR_OK &&
            len == sizeof(known_plain) && !memcmp(plain, known_plain, len));
}

bool kv_token_probe_unwraps(kv_token_visit *visit)
{
    return atomic_load(&visit->token->unwraps) != UNWRAPS || unwraps_known(visit);
}

void kv_token_probe_learn(kv_token_visit *visit)
{
    bool has = kv_token_supports(visit->token, CKM_AES_KEY_WRAP);

    if (atomic_load(&visit->token->unwraps) == NOT_TRIED)
        atomic_store(&visit->token->unwraps, has && unwraps_known(visit) ? UNWRAPS : NEVER_DID);
}

static kv_status probe(kv_token_visit *visit, void *context, kv_error *err)
{
    (void)context;
    if (kv_token_probe_inside(visit))
        return KV_OK;
    kv_token_suspect(visit->token);
    return kv_module_unavailable(err);
}

kv_status kv_token_probe(kv_token *token, kv_error *err)
{
    return kv_token_run(token, probe, NULL, err);
}
