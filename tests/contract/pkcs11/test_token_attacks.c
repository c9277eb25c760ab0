/* test_token_attacks.c - what somebody with the user PIN and the raw interface can do. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "pkcs11/module.h"
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

/* Whoever holds the PIN can give one key another's id; the proof sees it. */
static void a_swapped_id_is_noticed(void **state)
{
    bench *b = *state;
    bench_key one, other;
    kv_module *module = NULL;
    CK_SESSION_HANDLE session = 0;
    CK_ATTRIBUTE change = { CKA_ID, NULL, KV_KEY_ID_BYTES };
    CK_SLOT_ID slots[8];
    CK_ULONG count = KV_COUNT(slots);
    kv_error err = { 0 };

    bench_open(b);
    one = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    other = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    assert_kv_ok(kv_token_key_destroy(b->token, one.spec.id, &err));
    bench_shut(b);
    assert_kv_ok(kv_module_new(b->configs[0].module, b->configs[0].functions, &module, &err));
    assert_kv_ok(kv_module_start(module, &err));
    assert_int_equal(module->functions->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count && !session; i++) {
        CK_TOKEN_INFO info;

        assert_int_equal(module->functions->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (!memcmp(info.label, "keys ", 5))
            assert_int_equal(module->functions->C_OpenSession(slots[i],
                                                              CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                                              NULL, NULL, &session),
                             CKR_OK);
    }
    assert_int_equal(module->functions->C_Login(session, CKU_USER, b->configs[0].pin->data,
                                                b->configs[0].pin->len),
                     CKR_OK);
    change.pValue = one.spec.id;
    assert_int_equal(
        module->functions->C_SetAttributeValue(
            session, find_directly(module->functions, session, other.spec.id), &change, 1),
        CKR_OK);
    kv_module_free(module);
    bench_open(b);
    assert_kv_fails(KV_INTERNAL, kv_token_key_check(b->token, &one.ref, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(direct_pkcs11_gets_no_key_out, new_softhsm, free_bench),
        cmocka_unit_test_setup_teardown(a_swapped_id_is_noticed, new_softhsm, free_bench),
        cmocka_unit_test_setup_teardown(a_swapped_id_is_noticed, new_fake, free_bench),
    };

    return cmocka_run_group_tests_name("token_attacks", tests, NULL, NULL);
}
