/* test_token_lies.c - single lies of a token, and what each is taken for. */
#include "pkcs11/module.h"
#include "tests/support/kv_cmocka.h"
#include "tests/support/lying_token.h"
#include "tests/support/token_tour.h"

#define NOWHERE CK_UNAVAILABLE_INFORMATION

static int prepare(void **state)
{
    (void)state;
    kv_tour_prepare();
    return 0;
}

static void a_token_that_tells_the_truth_can_do_everything(void **state)
{
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_tour_begin(NULL, 0, &err));
    for (size_t i = 0; kv_tour_name(i); i++) {
        kv_status status = kv_tour_step(i, &err);

        if (status != KV_OK)
            fail_msg("%s: %s (%s)", kv_tour_name(i), err.message, err.detail);
    }
    kv_tour_end();
}

typedef struct row {
    kv_lie lie;
    const char *step; /* NULL: opening */
    kv_status status;
} row;

/* shape: table */
static const row rows[] = {
    /* Lists of slots and mechanisms that are longer than the room. */
    { { "C_GetSlotList", 1, 0, KV_LIE_LENGTH, NOWHERE }, NULL, KV_UNAVAILABLE },
    { { "C_GetSlotList", 1, 0, KV_LIE_BEYOND, 1 }, NULL, KV_UNAVAILABLE },
    { { "C_GetSlotList", 1, 0, KV_LIE_LENGTH, 0 }, NULL, KV_BAD_REQUEST },
    { { "C_GetMechanismList", 1, 1, KV_LIE_LENGTH, NOWHERE }, NULL, KV_UNAVAILABLE },
    { { "C_GetMechanismList", 1, 1, KV_LIE_LENGTH, 1ul << 40 }, NULL, KV_UNAVAILABLE },
    { { "C_GetMechanismList", 2, 1, KV_LIE_BEYOND, 1 }, NULL, KV_UNAVAILABLE },
    { { "C_GetTokenInfo", 1, 0, KV_LIE_BYTES, 0xff }, NULL, KV_BAD_REQUEST },
    /* Handles that are none. */
    { { "C_OpenSession", 1, 0, KV_LIE_HANDLE, 0 }, NULL, KV_UNAVAILABLE },
    { { "C_CreateObject", 1, 0, KV_LIE_HANDLE, 0 }, NULL, KV_UNAVAILABLE },
    { { "C_GenerateKeyPair", 1, 0, KV_LIE_HANDLE, 0 }, "bear_ec", KV_UNAVAILABLE },
    { { "C_GenerateKey", 1, 0, KV_LIE_HANDLE, 0 }, "bear_secrets", KV_UNAVAILABLE },
    { { "C_CopyObject", 1, 0, KV_LIE_HANDLE, 0 }, "bear_ec", KV_UNAVAILABLE },
    { { "C_CreateObject", 1, 0, KV_LIE_HANDLE, 0 }, "import_secret", KV_UNAVAILABLE },
    { { "C_UnwrapKey", 1, 0, KV_LIE_HANDLE, 0 }, "import_pairs", KV_UNAVAILABLE },
    { { "C_UnwrapKey", 1, 1, KV_LIE_HANDLE, 0 }, "import_brought", KV_UNAVAILABLE },
    { { "C_CreateObject", 1, 0, KV_LIE_HANDLE, 0 }, "wrap", KV_UNAVAILABLE },
    { { "C_GenerateKeyPair", 1, 0, KV_LIE_IDLE, 0 }, "bear_ec", KV_UNAVAILABLE },
    /* Searches that find more than there was room for, or never end. */
    { { "C_FindObjects", 1, 0, KV_LIE_BEYOND, 1 }, "list", KV_UNAVAILABLE },
    { { "C_FindObjects", 1, 0, KV_LIE_LENGTH, NOWHERE }, "list", KV_UNAVAILABLE },
    { { "C_FindObjects", 1, 0, KV_LIE_BYTES, 1 }, "list", KV_UNAVAILABLE },
    { { "C_FindObjects", 1, 0, KV_LIE_BYTES, 1 }, "destroy_halves", KV_UNAVAILABLE },
    { { "C_FindObjects", 1, 0, KV_LIE_BYTES, 1 }, "anchor", KV_UNAVAILABLE },
    /* Attributes that are longer than their room. */
    { { "C_GetAttributeValue", 1, 0, KV_LIE_BEYOND, 1 }, "list", KV_UNAVAILABLE },
    { { "C_GetAttributeValue", 1, 0, KV_LIE_LENGTH, NOWHERE - 1 }, "list", KV_UNAVAILABLE },
    { { "C_GetAttributeValue", 1, 0, KV_LIE_BEYOND, 1 }, "bear_ec", KV_UNAVAILABLE },
    { { "C_GetAttributeValue", 1, 0, KV_LIE_BEYOND, 1 }, "check", KV_UNAVAILABLE },
    { { "C_GetAttributeValue", 1, 0, KV_LIE_BEYOND, 1 }, "anchor", KV_UNAVAILABLE },
    { { "C_GetAttributeValue", 1, 1, KV_LIE_BEYOND, 1000 }, "destroy_halves", KV_UNAVAILABLE },
    /* Pointers that the module has put elsewhere are not followed, nor are they the excuse of what
     * does not obey: all attributes are there all the same. */
    { { "C_GetAttributeValue", 1, 0, KV_LIE_POINTER, 0 }, "check", KV_OK },
    /* Results that are longer than their room. */
    { { "C_Sign", 1, 0, KV_LIE_BEYOND, 1 }, "bear_ec", KV_UNAVAILABLE },
    { { "C_Sign", 1, 0, KV_LIE_LENGTH, NOWHERE }, "bear_ec", KV_UNAVAILABLE },
    { { "C_Sign", 1, 0, KV_LIE_BEYOND, 1 }, "sign_rsa", KV_UNAVAILABLE },
    { { "C_Sign", 1, 0, KV_LIE_BEYOND, 1 }, "mac", KV_UNAVAILABLE },
    { { "C_Encrypt", 1, 0, KV_LIE_BEYOND, 1 }, "seal_and_open", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_BEYOND, 1 }, "seal_and_open", KV_UNAVAILABLE },
    { { "C_Encrypt", 1, 0, KV_LIE_BEYOND, 1 }, "cipher_gcm", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_BEYOND, 1 }, "cipher_cbc", KV_UNAVAILABLE },
    { { "C_Encrypt", 1, 0, KV_LIE_BEYOND, 1 }, "bear_secrets", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_BEYOND, 1 }, "bear_secrets", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_BEYOND, 1 }, "decrypt_oaep", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_LENGTH, NOWHERE }, "decrypt_oaep", KV_UNAVAILABLE },
    { { "C_Decrypt", 1, 0, KV_LIE_BEYOND, 1 }, "decrypt_raw", KV_UNAVAILABLE },
    { { "C_WrapKey", 1, 0, KV_LIE_BEYOND, 1 }, "export_and_seal", KV_UNAVAILABLE },
    { { "C_WrapKey", 1, 0, KV_LIE_LENGTH, NOWHERE }, "export_and_seal", KV_UNAVAILABLE },
    { { "C_WrapKey", 1, 0, KV_LIE_BEYOND, 1 }, "wrap", KV_UNAVAILABLE },
    { { "C_WrapKey", 1, 0, KV_LIE_BEYOND, 1 }, "wrap_odd", KV_UNAVAILABLE },
    { { "C_WrapKey", 1, 0, KV_LIE_BEYOND, 1 }, "bear_secrets", KV_UNAVAILABLE },
    /* The server's own identity: no key, another one's signature, one that is too short. */
    { { "C_GetTokenInfo", 1, 0, KV_LIE_BYTES, 0xff }, "tls_ec", KV_BAD_REQUEST },
    { { "C_FindObjects", 1, 0, KV_LIE_LENGTH, 0 }, "tls_ec", KV_NOT_FOUND },
    { { "C_FindObjects", 1, 0, KV_LIE_BYTES, 1 }, "tls_ec", KV_UNAVAILABLE },
    { { "C_Sign", 1, 0, KV_LIE_BEYOND, 1 }, "tls_ec", KV_UNAVAILABLE },
    { { "C_Sign", 1, 0, KV_LIE_LENGTH, 0 }, "tls_ec", KV_PRECONDITION },
    { { "C_Sign", 1, 0, KV_LIE_LENGTH, 63 }, "tls_ec", KV_PRECONDITION },
    { { "C_Sign", 1, 0, KV_LIE_FLIP, 1 }, "tls_ec", KV_PRECONDITION },
    /* What was signed, wrapped or made is not what was asked for. */
    { { "C_Sign", 1, 0, KV_LIE_FLIP, 9 }, "bear_ec", KV_INTERNAL },
    { { "C_WrapKey", 1, 0, KV_LIE_FLIP, 9 }, "export_and_seal", KV_INTERNAL },
    { { "C_WrapKey", 1, 0, KV_LIE_LENGTH, 0 }, "export_and_seal", KV_INTERNAL },
    { { "C_Encrypt", 1, 0, KV_LIE_IDLE, 0 }, "probe", KV_UNAVAILABLE },
};

static void tell(const row *r)
{
    kv_error err = { 0 };
    kv_status status = kv_tour_begin(&r->lie, r->step ? 0 : 1, &err);

    if (r->step) {
        assert_kv_ok(status);
        kv_tour_lie(&r->lie, 1);
        status = kv_tour_do(r->step, &err);
    }
    kv_tour_end();
    if (status != r->status)
        fail_msg("%s, lie %d of 0x%lx, %s: %s instead of %s: %s (%s)", r->lie.function,
                 (int)r->lie.kind, r->lie.value, r->step ? r->step : "opening",
                 kv_status_spelling(status)->name, kv_status_spelling(r->status)->name, err.message,
                 err.detail);
}

static void each_lie_is_taken_for_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        tell(&rows[i]);
}

/* What a function wrote although it failed is not a handle: to destroy it may be to destroy
 * another's object. Session objects end with the session, and a copy that may be on the token is
 * looked for by its id. */
static void what_a_failed_call_wrote_is_no_handle(void **state)
{
    static const char *const makers[][2] = { { "C_GenerateKeyPair", "bear_ec" },
                                             { "C_GenerateKey", "bear_secrets" },
                                             { "C_CreateObject", "import_secret" },
                                             { "C_UnwrapKey", "import_pairs" },
                                             { "C_CreateObject", "wrap" } };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(makers); i++) {
        const kv_lie lie = { makers[i][0], 1, 0, KV_LIE_DISOWN, CKR_DEVICE_ERROR };

        assert_kv_ok(kv_tour_begin(NULL, 0, &err));
        kv_tour_lie(&lie, 1);
        assert_kv_fails(KV_UNAVAILABLE, kv_tour_do(makers[i][1], &err));
        assert_false(kv_liar_undone());
        kv_tour_end();
    }
}

static void a_copy_that_failed_and_is_there_all_the_same_is_found_by_its_id(void **state)
{
    static const CK_RV codes[] = { CKR_DEVICE_ERROR, CKR_SESSION_HANDLE_INVALID };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(codes); i++) {
        const kv_lie lie = { "C_CopyObject", 1, 1, KV_LIE_DISOWN, codes[i] };

        assert_kv_ok(kv_tour_begin(NULL, 0, &err));
        kv_tour_lie(&lie, 1);
        assert_kv_fails(KV_UNAVAILABLE, kv_tour_do("bear_ec", &err));
        assert_true(kv_liar_undone());
        kv_tour_end();
    }
}

/* Of a birth, the call of C_GetAttributeValue that lies; 0: none does. */
static kv_status lie_about_it(const char *birth, unsigned call, unsigned *calls, kv_error *out)
{
    const kv_lie lie = { "C_GetAttributeValue", call, 1, KV_LIE_FLIP, 0 };
    kv_error err = { 0 };
    kv_status status;

    assert_kv_ok(kv_tour_begin(NULL, 0, &err));
    kv_tour_lie(&lie, call > 0);
    status = kv_tour_do(birth, &err);
    *calls = kv_liar_calls_of("C_GetAttributeValue");
    kv_tour_end();
    *out = err;
    return status;
}

/* Each attribute that is read back of a new key, and of its copy on the token, with one bit of it
 * the other way: the key is not what was asked for, whatever else is true of it. */
static void no_lie_about_a_new_key_passes(void **state)
{
    static const char *const births[] = { "bear_ec", "bear_secrets", "import_pairs",
                                          "import_secret" };
    static const unsigned keys[] = { 2, 3, 2, 1 };
    static const char *const told[] = {
        "CKA_ID",
        "CKA_LOCAL, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE",
        "CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE",
        "CKA_KEY_TYPE and size",
        "CKA_ALLOWED_MECHANISMS",
        "CKA_CLASS",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(births); i++) {
        unsigned found[KV_COUNT(told)] = { 0 }, passed = 0;
        kv_error err = { 0 };
        unsigned calls, ignored;

        assert_kv_ok(lie_about_it(births[i], 0, &calls, &err));
        for (unsigned n = 1; n <= calls; n++) {
            kv_status status = lie_about_it(births[i], n, &ignored, &err);

            passed += status == KV_OK;
            for (size_t j = 0; status == KV_INTERNAL && j < KV_COUNT(told); j++)
                found[j] += strstr(err.detail, told[j]) != NULL;
        }
        for (size_t j = 0; j < KV_COUNT(told); j++)
            if (found[j] < 2 * keys[i])
                fail_msg("%s: %s: %u lies were found", births[i], told[j], found[j]);
        /* Of each key that is there one thing is asked, and asked again, before it is taken away.
         */
        assert_int_equal(passed, keys[i]);
    }
}

/* "Cannot say" is no reason to destroy anything. */
static void a_token_that_does_not_say_loses_no_object(void **state)
{
    static const kv_lie lies[] = {
        { "C_GetAttributeValue", 1, 0, KV_LIE_IDLE, 0 },
        { "C_GetAttributeValue", 1, 0, KV_LIE_LENGTH, NOWHERE },
        { "C_GetAttributeValue", 1, 0, KV_LIE_REFUSE, CKR_DEVICE_ERROR },
    };
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lies); i++) {
        assert_int_not_equal(kv_tour_begin(&lies[i], 1, &err), KV_BAD_REQUEST);
        assert_int_equal(kv_liar_calls_of("C_DestroyObject"), 0);
        kv_tour_end();
    }
}

static void a_module_without_its_functions_is_not_loaded(void **state)
{
    CK_FUNCTION_LIST whole = *kv_liar_new(NULL), broken;

    (void)state;
    assert_false(kv_module_is_whole(NULL));
    /* The fakes leave out what only makes tokens. */
    whole.C_InitToken = (CK_C_InitToken)1;
    whole.C_InitPIN = (CK_C_InitPIN)1;
    whole.C_Logout = (CK_C_Logout)1;
    assert_true(kv_module_is_whole(&whole));
    broken = whole;
    broken.C_FindObjectsFinal = NULL;
    assert_false(kv_module_is_whole(&broken));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_that_tells_the_truth_can_do_everything),
        cmocka_unit_test(each_lie_is_taken_for_what_it_is),
        cmocka_unit_test(no_lie_about_a_new_key_passes),
        cmocka_unit_test(what_a_failed_call_wrote_is_no_handle),
        cmocka_unit_test(a_copy_that_failed_and_is_there_all_the_same_is_found_by_its_id),
        cmocka_unit_test(a_token_that_does_not_say_loses_no_object),
        cmocka_unit_test(a_module_without_its_functions_is_not_loaded),
    };

    return cmocka_run_group_tests_name("token_lies", tests, prepare, NULL);
}
