/* test_token_attacks.c - what somebody with the user PIN and the raw interface can do. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "pkcs11/module.h"
#include "pkcs11/public_key.h"
#include "tests/contract/pkcs11/bench.h"

static int new_softhsm(void **state)
{
    *state = bench_new(true);
    return 0;
}

static int new_fake(void **state)
{
    *state = bench_new(false);
    return 0;
}

static int free_bench(void **state)
{
    bench_free(*state);
    return 0;
}

/* Finds a private key by id with nothing of ours but the function list. */
static CK_OBJECT_HANDLE find_directly(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, uint8_t *id)
{
    CK_ATTRIBUTE template = { CKA_ID, id, KV_KEY_ID_BYTES };
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    assert_int_equal(f->C_FindObjectsInit(session, &template, 1), CKR_OK);
    assert_int_equal(f->C_FindObjects(session, &found, 1, &count), CKR_OK);
    assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
    assert_int_equal(count, 1);
    return found;
}

static CK_OBJECT_HANDLE make_wrapping_key(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    uint8_t value[32] = { 1, 2, 3 };
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &no, sizeof(no) },       { CKA_WRAP, &yes, sizeof(yes) },
        { CKA_VALUE, value, sizeof(value) },
    };
    CK_OBJECT_HANDLE kek;

    assert_int_equal(f->C_CreateObject(session, template, KV_COUNT(template), &kek), CKR_OK);
    return kek;
}

static void attack(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    CK_MECHANISM decrypt = { CKM_RSA_X_509, NULL, 0 };
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE extractable = { CKA_EXTRACTABLE, &yes, sizeof(yes) };
    CK_ATTRIBUTE weaker[] = { { CKA_SENSITIVE, &no, sizeof(no) }, { CKA_TOKEN, &no, sizeof(no) } };
    uint8_t bytes[4096];
    CK_ATTRIBUTE value = { CKA_VALUE, bytes, sizeof(bytes) };
    CK_ATTRIBUTE exponent = { CKA_PRIVATE_EXPONENT, bytes, sizeof(bytes) };
    CK_OBJECT_HANDLE kek = make_wrapping_key(f, session), copy;
    CK_ULONG len = sizeof(bytes);

    assert_int_not_equal(f->C_GetAttributeValue(session, key, &value, 1), CKR_OK);
    assert_int_not_equal(f->C_GetAttributeValue(session, key, &exponent, 1), CKR_OK);
    assert_int_not_equal(f->C_WrapKey(session, &kwp, kek, key, bytes, &len), CKR_OK);
    assert_int_not_equal(f->C_SetAttributeValue(session, key, &extractable, 1), CKR_OK);
    assert_int_not_equal(f->C_CopyObject(session, key, &extractable, 1, &copy), CKR_OK);
    assert_int_not_equal(f->C_CopyObject(session, key, weaker, 2, &copy), CKR_OK);
    assert_int_not_equal(f->C_DecryptInit(session, &decrypt, key), CKR_OK);
}

/* The user PIN and the raw interface get no private key out, on a copy of the token. */
static void direct_pkcs11_gets_no_key_out(void **state)
{
    bench *b = *state;
    bench_key keys[3];
    char dir[PATH_MAX], conf[PATH_MAX];
    kv_module *module = NULL;
    CK_SLOT_ID slots[8];
    CK_ULONG count = KV_COUNT(slots);
    CK_SESSION_HANDLE session;
    CK_TOKEN_INFO info;
    kv_error err = { 0 };

    bench_open(b);
    keys[0] = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    keys[1] = bench_bear(b, KV_CLASS_SIGN, KV_KEY_RSA_2048, false);
    keys[2] = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, true);
    assert_kv_ok(kv_token_key_seal_export(b->token, keys[2].spec.id, &err));
    bench_shut(b);
    (void)snprintf(dir, sizeof(dir), "%s/copy", kv_softhsm_dir(b->hsm));
    kv_softhsm_copy(b->hsm, dir, conf);
    assert_int_equal(setenv("SOFTHSM2_CONF", conf, 1), 0);
    assert_kv_ok(kv_module_new(KV_SOFTHSM_MODULE, NULL, &module, &err));
    assert_kv_ok(kv_module_start(module, &err));
    assert_int_equal(module->functions->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        assert_int_equal(module->functions->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (memcmp(info.label, "keys ", 5) != 0)
            continue;
        assert_int_equal(module->functions->C_OpenSession(
                             slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
                         CKR_OK);
        assert_int_equal(module->functions->C_Login(session, CKU_USER,
                                                    (CK_UTF8CHAR *)KV_SOFTHSM_PIN,
                                                    strlen(KV_SOFTHSM_PIN)),
                         CKR_OK);
        for (size_t k = 0; k < KV_COUNT(keys); k++)
            attack(module->functions, session,
                   find_directly(module->functions, session, keys[k].spec.id));
    }
    kv_module_free(module);
}

/* A session of the PIN's holder on the keys token, past our layer. The module may be in use. */
typedef struct intruder {
    kv_module *module; /* of our own, whether or not the tokens use it too */
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
} intruder;

static CK_SLOT_ID slot_of_keys(CK_FUNCTION_LIST *f)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = KV_COUNT(slots);
    CK_TOKEN_INFO info;

    assert_int_equal(f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        assert_int_equal(f->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (!memcmp(info.label, "keys ", 5))
            return slots[i];
    }
    fail_msg("no token called keys");
    return 0;
}

static intruder break_in(bench *b)
{
    intruder who = { 0 };
    kv_error err = { 0 };
    CK_RV rv;

    assert_kv_ok(kv_module_new(b->configs[0].module, b->configs[0].functions, &who.module, &err));
    who.f = who.module->functions;
    if (!b->tokens)
        assert_kv_ok(kv_module_start(who.module, &err));
    rv = who.f->C_OpenSession(slot_of_keys(who.f), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                              &who.session);
    assert_int_equal(rv, CKR_OK);
    rv = who.f->C_Login(who.session, CKU_USER, b->configs[0].pin->data, b->configs[0].pin->len);
    assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
    return who;
}

static void leave(intruder *who)
{
    assert_int_equal(who->f->C_CloseSession(who->session), CKR_OK);
    kv_module_free(who->module);
}

/* Whoever holds the PIN can give one key another's id; the proof sees it. */
static void a_swapped_id_is_noticed(void **state)
{
    bench *b = *state;
    bench_key one, other;
    CK_ATTRIBUTE change = { CKA_ID, NULL, KV_KEY_ID_BYTES };
    intruder who;
    kv_error err = { 0 };

    bench_open(b);
    one = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    other = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    assert_kv_ok(kv_token_key_destroy(b->token, one.spec.id, &err));
    bench_shut(b);
    who = break_in(b);
    change.pValue = one.spec.id;
    assert_int_equal(who.f->C_SetAttributeValue(
                         who.session, find_directly(who.f, who.session, other.spec.id), &change, 1),
                     CKR_OK);
    leave(&who);
    bench_open(b);
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &one.ref, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
}

static void two_keys_of_one_id_are_refused(void **state)
{
    bench *b = *state;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE keep = { CKA_TOKEN, &yes, sizeof(yes) };
    CK_OBJECT_HANDLE copy;
    intruder who;
    bench_key key;
    kv_error err = { 0 };

    bench_open(b);
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_shut(b);
    who = break_in(b);
    assert_int_equal(who.f->C_CopyObject(who.session,
                                         find_directly(who.f, who.session, key.spec.id), &keep, 1,
                                         &copy),
                     CKR_OK);
    leave(&who);
    bench_open(b);
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &key.ref, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_kv_fails(KV_NOT_FOUND, kv_token_key_check(b->token, &key.ref, &err));
}

static void plant_a_half(const intruder *who)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BBOOL yes = CK_TRUE;
    uint8_t value[32] = { 9 };
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &yes, sizeof(yes) },     { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_VALUE, value, sizeof(value) },
    };
    CK_OBJECT_HANDLE half;

    assert_int_equal(who->f->C_CreateObject(who->session, template, KV_COUNT(template), &half),
                     CKR_OK);
}

static kv_status count_halves(void *context, const kv_key_seen *key, kv_error *err)
{
    unsigned *halves = context;

    (void)err;
    *halves += !key->has_id;
    return KV_OK;
}

static void halves_are_listed_and_destroyed_on_a_token_of_our_own(void **state)
{
    bench *b = *state;
    unsigned halves = 0;
    size_t destroyed = 0;
    intruder who;
    bench_key key;
    kv_error err = { 0 };

    bench_open(b);
    assert_false(kv_token_key_saw_halves(b->token));
    key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    bench_shut(b);
    who = break_in(b);
    plant_a_half(&who);
    plant_a_half(&who);
    leave(&who);
    bench_open(b);
    assert_true(kv_token_key_saw_halves(b->token));
    assert_kv_ok(kv_token_key_list(b->token, count_halves, &halves, &err));
    assert_int_equal(halves, 2);
    assert_kv_ok(kv_token_key_destroy_halves(b->token, &destroyed, &err));
    assert_int_equal(destroyed, 2);
    halves = 0;
    assert_kv_ok(kv_token_key_list(b->token, count_halves, &halves, &err));
    assert_int_equal(halves, 0);
    bench_use(b, &key);
    bench_shut(b);
    bench_open(b);
    assert_false(kv_token_key_saw_halves(b->token));
    bench_shut(b);
    b->configs[0].exclusive = false;
    bench_open(b);
    bench_use(b, &key);
    assert_kv_fails(KV_PRECONDITION, kv_token_key_destroy_halves(b->token, &destroyed, &err));
}

/* --- the attacks of the literature on wrapping interfaces, by somebody with the PIN --- */

static CK_RV set_flag(const intruder *who, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE change = { type, &yes, sizeof(yes) };

    return who->f->C_SetAttributeValue(who->session, key, &change, 1);
}

/* Wraps something with the application's key and takes it back with another template. */
static void unwrap_weaker(const intruder *who, CK_OBJECT_HANDLE kek)
{
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private = CKO_PRIVATE_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET, aes = CKK_AES, ec = CKK_EC;
    CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    uint8_t value[32] = { 5 }, blob[64];
    CK_ATTRIBUTE bytes[] = {
        { CKA_CLASS, &secret, sizeof(secret) }, { CKA_KEY_TYPE, &generic, sizeof(generic) },
        { CKA_TOKEN, &no, sizeof(no) },         { CKA_SENSITIVE, &no, sizeof(no) },
        { CKA_EXTRACTABLE, &yes, sizeof(yes) }, { CKA_VALUE, value, sizeof(value) },
    };
    CK_ULONG len = sizeof(blob);
    CK_OBJECT_HANDLE object, out;

    assert_int_equal(who->f->C_CreateObject(who->session, bytes, KV_COUNT(bytes), &object), CKR_OK);
    assert_int_equal(who->f->C_WrapKey(who->session, &kwp, kek, object, blob, &len), CKR_OK);
    assert_int_equal(who->f->C_UnwrapKey(who->session, &kwp, kek, blob, len, bytes, 5, &out),
                     CKR_OK);
    /* A key that could encrypt, one that stays, one of another class. */
    bytes[1].pValue = &aes;
    assert_int_not_equal(who->f->C_UnwrapKey(who->session, &kwp, kek, blob, len, bytes, 5, &out),
                         CKR_OK);
    bytes[1].pValue = &generic;
    bytes[2].pValue = &yes;
    assert_int_not_equal(who->f->C_UnwrapKey(who->session, &kwp, kek, blob, len, bytes, 5, &out),
                         CKR_OK);
    bytes[2].pValue = &no;
    bytes[0].pValue = &private;
    bytes[1].pValue = &ec;
    assert_int_not_equal(who->f->C_UnwrapKey(who->session, &kwp, kek, blob, len, bytes, 5, &out),
                         CKR_OK);
}

/* Conflicting uses: the flags can be set, the pinned mechanisms cannot. */
static void wrap_and_decrypt(const intruder *who, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE cipher,
                             CK_OBJECT_HANDLE pair)
{
    static const CK_MECHANISM_TYPE others[] = { CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_GCM };
    CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 }, mechanism = { 0 };
    uint8_t iv[16] = { 0 }, blob[4096];
    CK_GCM_PARAMS gcm = { iv, 12, 96, iv, 0, 128 };
    CK_ULONG len = sizeof(blob);

    assert_int_not_equal(who->f->C_WrapKey(who->session, &kwp, kek, pair, blob, &len), CKR_OK);
    len = sizeof(blob);
    assert_int_not_equal(who->f->C_WrapKey(who->session, &kwp, kek, cipher, blob, &len), CKR_OK);
    (void)set_flag(who, kek, CKA_DECRYPT);
    for (size_t i = 0; i < KV_COUNT(others); i++) {
        bool is_gcm = others[i] == CKM_AES_GCM;

        mechanism = (CK_MECHANISM){ others[i], is_gcm ? (void *)&gcm : iv,
                                    is_gcm ? sizeof(gcm) : sizeof(iv) };
        assert_int_not_equal(who->f->C_DecryptInit(who->session, &mechanism, kek), CKR_OK);
    }
    (void)set_flag(who, cipher, CKA_WRAP);
    len = sizeof(blob);
    assert_int_not_equal(who->f->C_WrapKey(who->session, &kwp, cipher, kek, blob, &len), CKR_OK);
}

/* What is brought wrapped becomes nothing that can be read. */
static void read_what_was_brought(const intruder *who, CK_OBJECT_HANDLE exchange, kv_slice sealed)
{
    CK_RSA_PKCS_OAEP_PARAMS params = { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_MECHANISM oaep = { CKM_RSA_PKCS_OAEP, &params, sizeof(params) };
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE weaker[] = {
        { CKA_CLASS, &secret, sizeof(secret) }, { CKA_KEY_TYPE, &aes, sizeof(aes) },
        { CKA_TOKEN, &no, sizeof(no) },         { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &yes, sizeof(yes) },
    };
    uint8_t *data = (uint8_t *)(uintptr_t)sealed.data;
    CK_OBJECT_HANDLE out;

    assert_int_not_equal(
        who->f->C_UnwrapKey(who->session, &oaep, exchange, data, sealed.len, weaker, 5, &out),
        CKR_OK);
    weaker[4].pValue = &no;
    weaker[3].pValue = &no;
    assert_int_not_equal(
        who->f->C_UnwrapKey(who->session, &oaep, exchange, data, sealed.len, weaker, 5, &out),
        CKR_OK);
    weaker[3].pValue = &yes;
    weaker[1].pValue = &generic;
    assert_int_not_equal(
        who->f->C_UnwrapKey(who->session, &oaep, exchange, data, sealed.len, weaker, 5, &out),
        CKR_OK);
}

static void wrapping_attacks_fail(void **state)
{
    bench *b = *state;
    bench_key kek, cipher, pair, exchange;
    CK_OBJECT_HANDLE handle;
    kv_error err = { 0 };
    kv_slice sealed;
    intruder who;

    bench_open(b);
    kek = bench_bear(b, KV_CLASS_WRAP, KV_KEY_AES_256, false);
    cipher = bench_bear(b, KV_CLASS_CIPHER, KV_KEY_AES_256, false);
    pair = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    exchange = bench_bear(b, KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, false);
    assert_kv_ok(kv_public_key_encrypt(exchange.born.spki, kv_encryption_find(KV_SLICE("RSA-OAEP")),
                                       false, kv_slice_of(cipher.spec.id, 16), &b->arena, &sealed,
                                       &err));
    bench_shut(b);
    who = break_in(b);
    handle = find_directly(who.f, who.session, kek.spec.id);
    unwrap_weaker(&who, handle);
    wrap_and_decrypt(&who, handle, find_directly(who.f, who.session, cipher.spec.id),
                     find_directly(who.f, who.session, pair.spec.id));
    read_what_was_brought(&who, find_directly(who.f, who.session, exchange.spec.id), sealed);
    leave(&who);
}

typedef struct doctor {
    const uint8_t *id;
    kv_key_seen seen;
    unsigned sick;
} doctor;

static kv_status examine(void *context, const kv_key_seen *key, kv_error *err)
{
    doctor *d = context;

    (void)err;
    d->sick += key->differs[0] != '\0';
    if (key->has_id && !memcmp(key->id, d->id, KV_KEY_ID_BYTES))
        d->seen = *key;
    return KV_OK;
}

/* Flags that the PIN's holder set are seen by name. */
static void the_scanner_sees_what_was_changed(void **state)
{
    static const struct {
        kv_key_class class;
        kv_key_kind kind;
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } rows[] = {
        { KV_CLASS_SIGN, KV_KEY_RSA_2048, CKA_DECRYPT, "CKA_DECRYPT" },
        { KV_CLASS_SIGN, KV_KEY_P256, CKA_DERIVE, "CKA_DERIVE" },
        { KV_CLASS_SIGN, KV_KEY_ED25519, CKA_DECRYPT, "CKA_DECRYPT" },
        { KV_CLASS_DECRYPT, KV_KEY_RSA_2048, CKA_SIGN, "CKA_SIGN" },
        { KV_CLASS_EXCHANGE, KV_KEY_RSA_2048, CKA_DECRYPT, "CKA_DECRYPT" },
        { KV_CLASS_CIPHER, KV_KEY_AES_128, CKA_WRAP, "CKA_WRAP" },
        { KV_CLASS_WRAP, KV_KEY_AES_192, CKA_ENCRYPT, "CKA_ENCRYPT" },
        { KV_CLASS_SECRET, KV_KEY_AES_256, CKA_UNWRAP, "CKA_UNWRAP" },
        { KV_CLASS_MAC, KV_KEY_HMAC_512, CKA_DERIVE, "CKA_DERIVE" },
    };
    bench *b = *state;
    bench_key keys[KV_COUNT(rows)];
    kv_error err = { 0 };
    intruder who;

    bench_open(b);
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        doctor d = { .id = keys[i].spec.id };

        keys[i] = bench_bear(b, rows[i].class, rows[i].kind, false);
        assert_kv_ok(kv_token_key_list(b->token, examine, &d, &err));
        assert_int_equal(d.sick, 0);
        assert_int_equal(d.seen.class, rows[i].class);
        assert_int_equal(d.seen.kind, rows[i].kind);
    }
    bench_shut(b);
    who = break_in(b);
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        assert_int_equal(
            set_flag(&who, find_directly(who.f, who.session, keys[i].spec.id), rows[i].type),
            CKR_OK);
    plant_a_half(&who);
    leave(&who);
    bench_open(b);
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        doctor d = { .id = keys[i].spec.id };

        assert_kv_ok(kv_token_key_list(b->token, examine, &d, &err));
        assert_string_equal(d.seen.differs, rows[i].name);
        assert_int_equal(d.sick, KV_COUNT(rows) + 1);
    }
}

#define ON_BOTH(name)                                               \
    cmocka_unit_test_setup_teardown(name, new_softhsm, free_bench), \
        cmocka_unit_test_setup_teardown(name, new_fake, free_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(direct_pkcs11_gets_no_key_out, new_softhsm, free_bench),
        ON_BOTH(wrapping_attacks_fail),
        ON_BOTH(the_scanner_sees_what_was_changed),
        ON_BOTH(a_swapped_id_is_noticed),
        ON_BOTH(two_keys_of_one_id_are_refused),
        ON_BOTH(halves_are_listed_and_destroyed_on_a_token_of_our_own),
    };

    return cmocka_run_group_tests_name("token_attacks", tests, NULL, NULL);
}
