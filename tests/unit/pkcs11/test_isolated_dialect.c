/* test_isolated_dialect.c - what goes out comes in as it was, and what is not of the dialect
 * passes. */
#include "pkcs11/isolated_dialect.h"

#include <stdlib.h>

#include "tests/support/kv_cmocka.h"

/* The remoting: what one end gave, the other end is given. */
static CK_FUNCTION_LIST module, remoting;

static struct seen {
    CK_MECHANISM_TYPE type;
    CK_GCM_PARAMS gcm;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    uint8_t bytes[64];
    size_t len;
    CK_ULONG attributes;
    bool nested;
} seen;

static CK_RV module_encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *how, CK_OBJECT_HANDLE key)
{
    (void)session;
    (void)key;
    seen = (struct seen){ .type = how->mechanism, .len = how->ulParameterLen };
    if (how->mechanism == CKM_AES_GCM) {
        memcpy(&seen.gcm, how->pParameter, sizeof(seen.gcm));
        memcpy(seen.bytes, seen.gcm.pIv, seen.gcm.ulIvLen);
        if (seen.gcm.ulAADLen)
            memcpy(seen.bytes + seen.gcm.ulIvLen, seen.gcm.pAAD, seen.gcm.ulAADLen);
    } else if (how->mechanism == CKM_RSA_PKCS_OAEP)
        memcpy(&seen.oaep, how->pParameter, sizeof(seen.oaep));
    else if (how->pParameter)
        memcpy(seen.bytes, how->pParameter, how->ulParameterLen);
    return CKR_OK;
}

/* All that p11-kit lets pass. */
static CK_RV remoting_encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *how,
                                   CK_OBJECT_HANDLE key)
{
    const CK_RSA_PKCS_OAEP_PARAMS *params = how->pParameter;

    assert_int_equal(how->mechanism, CKM_RSA_PKCS_OAEP);
    assert_int_equal(how->ulParameterLen, sizeof(*params));
    return kv_dialect_C_EncryptInit(KV_DIALECT_IN, &module, session, how, key);
}

static CK_RV module_generate(CK_SESSION_HANDLE session, CK_MECHANISM *how, CK_ATTRIBUTE *list,
                             CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    (void)session;
    seen = (struct seen){ .type = how->mechanism, .attributes = count };
    *out = 7;
    for (CK_ULONG i = 0; i < count; i++) {
        const CK_ATTRIBUTE *inner = list[i].pValue;

        if (list[i].type != CKA_UNWRAP_TEMPLATE)
            continue;
        assert_int_equal(list[i].ulValueLen, 2 * sizeof(*inner));
        seen.nested = inner[0].type == CKA_SENSITIVE && inner[0].ulValueLen == 1 &&
                      *(CK_BBOOL *)inner[0].pValue == CK_TRUE && inner[1].type == CKA_LABEL &&
                      inner[1].ulValueLen == 0;
    }
    return CKR_OK;
}

static CK_RV remoting_generate(CK_SESSION_HANDLE session, CK_MECHANISM *how, CK_ATTRIBUTE *list,
                               CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    for (CK_ULONG i = 0; i < count; i++)
        assert_true(list[i].type & 0x20000000);
    return kv_dialect_C_GenerateKey(KV_DIALECT_IN, &module, session, how, list, count, out);
}

static CK_RV module_mechanisms(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    CK_ULONG room = *count;

    assert_int_equal(slot, 5);
    *count = 2;
    if (!list)
        return CKR_OK;
    if (room < 2)
        return CKR_BUFFER_TOO_SMALL;
    list[0] = CKM_AES_GCM;
    list[1] = CKM_EDDSA;
    return CKR_OK;
}

static CK_RV module_read(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
                         CK_ULONG count)
{
    (void)session;
    (void)object;
    assert_int_equal(count, 1);
    seen.attributes = list[0].type;
    if (list[0].pValue)
        memcpy(list[0].pValue, "abc", 3);
    list[0].ulValueLen = 3;
    return CKR_OK;
}

static CK_RV remoting_read(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
                           CK_ULONG count)
{
    return kv_dialect_C_GetAttributeValue(KV_DIALECT_IN, &module, session, object, list, count);
}

static int begin(void **state)
{
    (void)state;
    module = (CK_FUNCTION_LIST){ .C_EncryptInit = module_encrypt_init,
                                 .C_GenerateKey = module_generate,
                                 .C_GetMechanismList = module_mechanisms,
                                 .C_GetAttributeValue = module_read };
    remoting = (CK_FUNCTION_LIST){ .C_EncryptInit = remoting_encrypt_init,
                                   .C_GenerateKey = remoting_generate,
                                   .C_GetAttributeValue = remoting_read };
    return 0;
}

static CK_RV send_out(CK_MECHANISM how)
{
    return kv_dialect_C_EncryptInit(KV_DIALECT_OUT, &remoting, 1, &how, 2);
}

static void mechanisms_arrive_as_they_were(void **state)
{
    CK_GCM_PARAMS gcm = { (uint8_t *)"0123456789ab", 12, 96, (uint8_t *)"more", 4, 128 };
    CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 };

    (void)state;
    assert_int_equal(send_out((CK_MECHANISM){ CKM_AES_GCM, &gcm, sizeof(gcm) }), CKR_OK);
    assert_int_equal(seen.type, CKM_AES_GCM);
    assert_int_equal(seen.gcm.ulTagBits, 128);
    assert_int_equal(seen.gcm.ulIvBits, 96);
    assert_memory_equal(seen.bytes, "0123456789abmore", 16);
    gcm.pAAD = NULL;
    gcm.ulAADLen = 0;
    assert_int_equal(send_out((CK_MECHANISM){ CKM_AES_GCM, &gcm, sizeof(gcm) }), CKR_OK);
    assert_null(seen.gcm.pAAD);
    assert_int_equal(send_out((CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) }), CKR_OK);
    assert_int_equal(seen.oaep.mgf, CKG_MGF1_SHA1);
    assert_int_equal(seen.oaep.hashAlg, CKM_SHA_1);
    assert_int_equal(send_out((CK_MECHANISM){ CKM_AES_CBC, (uint8_t *)"0123456789abcdef", 16 }),
                     CKR_OK);
    assert_memory_equal(seen.bytes, "0123456789abcdef", 16);
    assert_int_equal(send_out((CK_MECHANISM){ .mechanism = CKM_EDDSA }), CKR_OK);
    assert_int_equal(seen.type, CKM_EDDSA);
    assert_int_equal(seen.len, 0);
}

/* It might hold pointers, which mean nothing at the other end. */
static void a_parameter_of_unknown_shape_is_refused(void **state)
{
    CK_GCM_PARAMS gcm = { 0 };

    (void)state;
    assert_int_equal(send_out((CK_MECHANISM){ CKM_ECDH1_DERIVE, &gcm, sizeof(gcm) }),
                     CKR_MECHANISM_PARAM_INVALID);
    assert_int_equal(send_out((CK_MECHANISM){ CKM_AES_GCM, &gcm, sizeof(gcm) - 1 }),
                     CKR_MECHANISM_PARAM_INVALID);
}

/* Lengths that do not add up, at the end that takes in. */
static void what_is_torn_is_refused(void **state)
{
    uint8_t bytes[sizeof(CK_GCM_PARAMS) + 12] = { 0 };
    CK_GCM_PARAMS gcm = { .ulIvLen = 13 };
    CK_RSA_PKCS_OAEP_PARAMS envelope = { .hashAlg = CKM_AES_GCM,
                                         .mgf = 0x80004b56,
                                         .pSourceData = bytes };
    CK_MECHANISM how = { CKM_RSA_PKCS_OAEP, &envelope, sizeof(envelope) };

    (void)state;
    memcpy(bytes, &gcm, sizeof(gcm));
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        envelope.ulSourceDataLen = len;
        assert_int_equal(kv_dialect_C_EncryptInit(KV_DIALECT_IN, &module, 1, &how, 2),
                         CKR_MECHANISM_PARAM_INVALID);
    }
    gcm.ulIvLen = (CK_ULONG)-1;
    memcpy(bytes, &gcm, sizeof(gcm));
    assert_int_equal(kv_dialect_C_EncryptInit(KV_DIALECT_IN, &module, 1, &how, 2),
                     CKR_MECHANISM_PARAM_INVALID);
}

/* Lengths without anything that is so long, as p11-kit gives for what it could not read. */
static void a_length_of_nothing_is_refused(void **state)
{
    static const CK_ULONG lengths[] = { 1, 64, 1ul << 40, CK_UNAVAILABLE_INFORMATION };
    CK_RSA_PKCS_OAEP_PARAMS envelope = { .hashAlg = CKM_AES_GCM, .mgf = 0x80004b56 };
    CK_MECHANISM how = { CKM_RSA_PKCS_OAEP, &envelope, sizeof(envelope) };
    CK_MECHANISM plain = { .mechanism = CKM_AES_KEY_GEN };
    CK_OBJECT_HANDLE out = 0;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(lengths); i++) {
        CK_ATTRIBUTE list = { CKA_UNWRAP_TEMPLATE ^ 0x20000000, NULL, lengths[i] };

        envelope.ulSourceDataLen = lengths[i];
        assert_int_equal(kv_dialect_C_EncryptInit(KV_DIALECT_IN, &module, 1, &how, 2),
                         CKR_MECHANISM_PARAM_INVALID);
        assert_int_equal(
            kv_dialect_C_GenerateKey(KV_DIALECT_IN, &module, 1, &plain, &list, 1, &out),
            CKR_ATTRIBUTE_VALUE_INVALID);
    }
}

/* Sums that wrap around would be a small allocation. */
static void a_parameter_that_claims_to_be_huge_is_refused(void **state)
{
    CK_GCM_PARAMS gcm = { .pIv = (uint8_t *)"iv",
                          .ulIvLen = CK_UNAVAILABLE_INFORMATION,
                          .pAAD = (uint8_t *)"aad",
                          .ulAADLen = 3 };

    (void)state;
    assert_int_equal(send_out((CK_MECHANISM){ CKM_AES_GCM, &gcm, sizeof(gcm) }),
                     CKR_MECHANISM_PARAM_INVALID);
}

static CK_RV too_many_mechanisms(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    (void)slot;
    (void)list;
    *count = list ? *count + 1 : CK_UNAVAILABLE_INFORMATION;
    return CKR_OK;
}

static void more_mechanisms_than_there_was_room_for_are_none(void **state)
{
    CK_MECHANISM_TYPE list[2] = { 0 };
    CK_ULONG count = 0;

    (void)state;
    module.C_GetMechanismList = too_many_mechanisms;
    assert_int_equal(kv_dialect_C_GetMechanismList(KV_DIALECT_OUT, &remoting, 5, NULL, &count),
                     CKR_DEVICE_ERROR);
    count = 2;
    assert_int_equal(kv_dialect_C_GetMechanismList(KV_DIALECT_OUT, &remoting, 5, list, &count),
                     CKR_DEVICE_ERROR);
}

static void templates_arrive_as_they_were(void **state)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE inner[] = { { CKA_SENSITIVE, &yes, sizeof(yes) }, { CKA_LABEL, NULL, 0 } };
    CK_ATTRIBUTE list[] = { { CKA_LABEL, (char *)"a", 1 },
                            { CKA_UNWRAP_TEMPLATE, inner, sizeof(inner) } };
    CK_MECHANISM how = { .mechanism = CKM_AES_KEY_GEN };
    CK_OBJECT_HANDLE out = 0;

    (void)state;
    assert_int_equal(kv_dialect_C_GenerateKey(KV_DIALECT_OUT, &remoting, 1, &how, list, 2, &out),
                     CKR_OK);
    assert_int_equal(out, 7);
    assert_int_equal(seen.attributes, 2);
    assert_true(seen.nested);
    /* The caller's template is untouched. */
    assert_int_equal(list[1].type, CKA_UNWRAP_TEMPLATE);
    assert_ptr_equal(list[1].pValue, inner);
}

static void a_torn_template_is_refused(void **state)
{
    uint8_t bytes[24] = { 0 };
    CK_ULONG one[3] = { CKA_SENSITIVE, 9, 0 };
    CK_ATTRIBUTE list = { CKA_UNWRAP_TEMPLATE ^ 0x20000000, bytes, 0 };
    CK_MECHANISM how = { .mechanism = CKM_AES_KEY_GEN };
    CK_OBJECT_HANDLE out = 0;

    (void)state;
    memcpy(bytes, one, sizeof(one));
    for (list.ulValueLen = 1; list.ulValueLen <= sizeof(bytes); list.ulValueLen++)
        assert_int_equal(kv_dialect_C_GenerateKey(KV_DIALECT_IN, &module, 1, &how, &list, 1, &out),
                         CKR_ATTRIBUTE_VALUE_INVALID);
}

static void attributes_are_read_by_their_own_type(void **state)
{
    uint8_t room[8] = { 0 };
    CK_ATTRIBUTE list = { CKA_ID, room, sizeof(room) };

    (void)state;
    assert_int_equal(kv_dialect_C_GetAttributeValue(KV_DIALECT_OUT, &remoting, 1, 2, &list, 1),
                     CKR_OK);
    assert_int_equal(seen.attributes, CKA_ID);
    assert_int_equal(list.type, CKA_ID);
    assert_int_equal(list.ulValueLen, 3);
    assert_memory_equal(room, "abc", 3);
}

static void all_mechanisms_are_listed(void **state)
{
    CK_MECHANISM_TYPE list[2] = { 0 };
    CK_ULONG count = 0;

    (void)state;
    assert_int_equal(kv_dialect_C_GetMechanismList(KV_DIALECT_OUT, &remoting, 5, NULL, &count),
                     CKR_OK);
    assert_int_equal(count, 2);
    count = 1;
    assert_int_equal(kv_dialect_C_GetMechanismList(KV_DIALECT_OUT, &remoting, 5, list, &count),
                     CKR_BUFFER_TOO_SMALL);
    count = 2;
    assert_int_equal(kv_dialect_C_GetMechanismList(KV_DIALECT_OUT, &remoting, 5, list, &count),
                     CKR_OK);
    assert_int_equal(list[1], CKM_EDDSA);
}

/* Another program may speak plain Cryptoki to the same process. */
static void what_is_not_of_the_dialect_passes(void **state)
{
    CK_MECHANISM how = { .mechanism = CKM_ECDSA };
    CK_ATTRIBUTE list = { CKA_LABEL, (char *)"a", 1 };
    CK_OBJECT_HANDLE out = 0;

    (void)state;
    assert_int_equal(kv_dialect_C_EncryptInit(KV_DIALECT_IN, &module, 1, &how, 2), CKR_OK);
    assert_int_equal(seen.type, CKM_ECDSA);
    assert_int_equal(kv_dialect_C_GenerateKey(KV_DIALECT_IN, &module, 1, &how, &list, 1, &out),
                     CKR_OK);
    assert_int_equal(seen.attributes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mechanisms_arrive_as_they_were, begin),
        cmocka_unit_test_setup(a_parameter_of_unknown_shape_is_refused, begin),
        cmocka_unit_test_setup(what_is_torn_is_refused, begin),
        cmocka_unit_test_setup(a_length_of_nothing_is_refused, begin),
        cmocka_unit_test_setup(a_parameter_that_claims_to_be_huge_is_refused, begin),
        cmocka_unit_test_setup(more_mechanisms_than_there_was_room_for_are_none, begin),
        cmocka_unit_test_setup(templates_arrive_as_they_were, begin),
        cmocka_unit_test_setup(a_torn_template_is_refused, begin),
        cmocka_unit_test_setup(attributes_are_read_by_their_own_type, begin),
        cmocka_unit_test_setup(all_mechanisms_are_listed, begin),
        cmocka_unit_test_setup(what_is_not_of_the_dialect_passes, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
