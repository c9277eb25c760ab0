/* extract.c - a thief with the token's folder and the user PIN, straight at the PKCS#11 module.
 *
 * extract MODULE TOKEN-LABEL PIN-FILE
 *
 * Tries to get every private and secret key of the token: reads its values, takes the flags back,
 * copies it with weaker ones, wraps it with every mechanism that wraps. First it does the same to a
 * key of its own that is extractable, so a thief who cannot steal anything does not count.
 *
 * Prints one line for each key, "key id=… type=… local=… …", one for each theft, "STOLEN id=… how",
 * and "tries=…". Ends with 0 when nothing was stolen, 1 when something was, 2 when the tool failed.
 * Runs on a copy of the token's folder: it leaves keys and a rewritten login behind.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#include "server/base/compiler.h"

enum { STOLEN = 1, UNABLE = 2, KEYS = 512, MECHANISMS = 256, BLOB = 8192, PIN_BYTES = 256 };

typedef struct thief {
    CK_FUNCTION_LIST *cryptoki;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    CK_MECHANISM_TYPE mechanisms[MECHANISMS];
    CK_ULONG mechanism_count;
    CK_OBJECT_HANDLE wrappers[KEYS]; /* fresh ones, then whatever the token holds */
    size_t wrapper_count;
    CK_OBJECT_HANDLE keys[KEYS];
    size_t key_count;
    unsigned tries;
    unsigned stolen;
    char id[2 * 64 + 1]; /* of the key at hand */
} thief;

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static _Noreturn void give_up(const char *what, CK_RV rv)
{
    (void)fprintf(stderr, "extract: %s: 0x%lx\n", what, rv);
    exit(UNABLE);
}

static void must(const char *what, CK_RV rv)
{
    if (rv != CKR_OK)
        give_up(what, rv);
}

static void steal(thief *at, const char *how, unsigned long number)
{
    at->stolen++;
    (void)printf("STOLEN id=%s %s 0x%lx\n", at->id, how, number);
}

/* --- the token --- */

static void find_slot(thief *at, const char *label)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = KV_COUNT(slots);

    must("C_GetSlotList", at->cryptoki->C_GetSlotList(CK_TRUE, slots, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        size_t len = strlen(label);

        must("C_GetTokenInfo", at->cryptoki->C_GetTokenInfo(slots[i], &info));
        if (memcmp(info.label, label, len) != 0 || info.label[len] != ' ')
            continue;
        at->slot = slots[i];
        return;
    }
    give_up("no token has that label", 0);
}

static void log_in(thief *at, const char *pin_file)
{
    unsigned char pin[PIN_BYTES];
    FILE *file = fopen(pin_file, "re");
    size_t len = file ? fread(pin, 1, sizeof(pin), file) : 0;

    if (file)
        (void)fclose(file);
    while (len && (pin[len - 1] == '\n' || pin[len - 1] == '\r'))
        len--;
    if (!len)
        give_up("the PIN cannot be read", 0);
    must("C_OpenSession", at->cryptoki->C_OpenSession(at->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                                      NULL, NULL, &at->session));
    must("C_Login", at->cryptoki->C_Login(at->session, CKU_USER, pin, len));
    at->mechanism_count = MECHANISMS;
    must("C_GetMechanismList",
         at->cryptoki->C_GetMechanismList(at->slot, at->mechanisms, &at->mechanism_count));
}

static void find_keys(thief *at, CK_OBJECT_CLASS class)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof(class) } };
    CK_ULONG found = 0;

    must("C_FindObjectsInit", at->cryptoki->C_FindObjectsInit(at->session, template, 1));
    must("C_FindObjects", at->cryptoki->C_FindObjects(at->session, at->keys + at->key_count,
                                                      KEYS - at->key_count, &found));
    must("C_FindObjectsFinal", at->cryptoki->C_FindObjectsFinal(at->session));
    at->key_count += found;
}

/* --- what the thief brings --- */

/* Usage flags may be set by whoever has the PIN; the pinned mechanisms must hold all the same. */
static void make_wrap(thief *at, CK_OBJECT_HANDLE key)
{
    CK_ATTRIBUTE uses[] = { { CKA_WRAP, &yes, sizeof(yes) }, { CKA_UNWRAP, &yes, sizeof(yes) } };

    for (size_t i = 0; i < KV_COUNT(uses); i++)
        (void)at->cryptoki->C_SetAttributeValue(at->session, key, &uses[i], 1);
}

static CK_OBJECT_HANDLE fresh_secret(thief *at, CK_KEY_TYPE type, CK_ULONG len)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    uint8_t value[32] = "thief's key, known to the thief";
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) }, { CKA_KEY_TYPE, &type, sizeof(type) },
        { CKA_TOKEN, &no, sizeof(no) },       { CKA_VALUE, value, len },
        { CKA_WRAP, &yes, sizeof(yes) },      { CKA_ENCRYPT, &yes, sizeof(yes) },
        { CKA_DECRYPT, &yes, sizeof(yes) },   { CKA_UNWRAP, &yes, sizeof(yes) },
    };
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    must("a fresh wrapping key",
         at->cryptoki->C_CreateObject(at->session, template, KV_COUNT(template), &key));
    return key;
}

static CK_OBJECT_HANDLE fresh_pair(thief *at, bool extractable, CK_OBJECT_HANDLE *private_key)
{
    CK_MECHANISM mechanism = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
    CK_ULONG bits = 2048;
    uint8_t exponent[] = { 1, 0, 1 };
    CK_BBOOL out = extractable, in = !extractable;
    CK_ATTRIBUTE public_template[] = { { CKA_TOKEN, &no, sizeof(no) },
                                       { CKA_WRAP, &yes, sizeof(yes) },
                                       { CKA_MODULUS_BITS, &bits, sizeof(bits) },
                                       { CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) } };
    CK_ATTRIBUTE private_template[] = { { CKA_TOKEN, &no, sizeof(no) },
                                        { CKA_PRIVATE, &yes, sizeof(yes) },
                                        { CKA_SENSITIVE, &in, sizeof(in) },
                                        { CKA_EXTRACTABLE, &out, sizeof(out) } };
    CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;

    must("a fresh pair",
         at->cryptoki->C_GenerateKeyPair(at->session, &mechanism, public_template,
                                         KV_COUNT(public_template), private_template,
                                         KV_COUNT(private_template), &public_key, private_key));
    return public_key;
}

static void bring_wrappers(thief *at, CK_OBJECT_HANDLE *control)
{
    at->wrappers[at->wrapper_count++] = fresh_secret(at, CKK_AES, 32);
    at->wrappers[at->wrapper_count++] = fresh_secret(at, CKK_DES3, 24);
    at->wrappers[at->wrapper_count++] = fresh_pair(at, true, control);
    /* The server's own keys may not serve as wrapping keys either. */
    for (size_t i = 0; i < at->key_count && at->wrapper_count < KEYS; i++) {
        make_wrap(at, at->keys[i]);
        at->wrappers[at->wrapper_count++] = at->keys[i];
    }
}

/* --- the attempts --- */

static bool flag_of(thief *at, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = { type, &value, sizeof(value) };

    return at->cryptoki->C_GetAttributeValue(at->session, key, &attribute, 1) == CKR_OK && value;
}

static void read_values(thief *at, CK_OBJECT_HANDLE key)
{
    static const CK_ATTRIBUTE_TYPE parts[] = { CKA_VALUE,      CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                               CKA_PRIME_2,    CKA_EXPONENT_1,       CKA_EXPONENT_2,
                                               CKA_COEFFICIENT };

    for (size_t i = 0; i < KV_COUNT(parts); i++) {
        static const uint8_t zero[BLOB];
        uint8_t value[BLOB] = { 0 };
        CK_ATTRIBUTE attribute = { parts[i], value, sizeof(value) };
        CK_RV rv = at->cryptoki->C_GetAttributeValue(at->session, key, &attribute, 1);

        at->tries++;
        if ((rv == CKR_OK && attribute.ulValueLen > 0) || memcmp(value, zero, BLOB) != 0)
            steal(at, "read attribute", parts[i]);
    }
}

static void take_flags_back(thief *at, CK_OBJECT_HANDLE key)
{
    CK_ATTRIBUTE weaker[] = { { CKA_SENSITIVE, &no, sizeof(no) },
                              { CKA_EXTRACTABLE, &yes, sizeof(yes) },
                              { CKA_PRIVATE, &no, sizeof(no) } };

    for (size_t i = 0; i < KV_COUNT(weaker); i++) {
        CK_ATTRIBUTE whole[] = { { CKA_TOKEN, &no, sizeof(no) }, weaker[i] };
        CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;

        at->tries += 2;
        if (flag_of(at, key, weaker[i].type) == *(CK_BBOOL *)weaker[i].pValue)
            steal(at, "flag is weak already", weaker[i].type);
        if (at->cryptoki->C_SetAttributeValue(at->session, key, &weaker[i], 1) == CKR_OK)
            steal(at, "set attribute", weaker[i].type);
        if (at->cryptoki->C_CopyObject(at->session, key, whole, KV_COUNT(whole), &copy) == CKR_OK)
            steal(at, "copy with attribute", weaker[i].type);
    }
}

static bool wraps(thief *at, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info = { 0 };

    return at->cryptoki->C_GetMechanismInfo(at->slot, type, &info) == CKR_OK &&
           (info.flags & CKF_WRAP);
}

static CK_MECHANISM with_parameter(CK_MECHANISM_TYPE type, CK_RSA_PKCS_OAEP_PARAMS *oaep,
                                   uint8_t iv[16])
{
    CK_MECHANISM mechanism = { type, NULL, 0 };

    *oaep = (CK_RSA_PKCS_OAEP_PARAMS){ CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 };
    if (type == CKM_RSA_PKCS_OAEP) {
        mechanism.pParameter = oaep;
        mechanism.ulParameterLen = sizeof(*oaep);
    } else if (type == CKM_AES_CBC || type == CKM_AES_CBC_PAD) {
        mechanism.pParameter = iv;
        mechanism.ulParameterLen = 16;
    } else if (type == CKM_DES3_CBC || type == CKM_DES3_CBC_PAD) {
        mechanism.pParameter = iv;
        mechanism.ulParameterLen = 8;
    }
    return mechanism;
}

static void wrap_everyhow(thief *at, CK_OBJECT_HANDLE key)
{
    for (CK_ULONG m = 0; m < at->mechanism_count; m++) {
        if (!wraps(at, at->mechanisms[m]))
            continue;
        for (size_t w = 0; w < at->wrapper_count; w++) {
            uint8_t blob[BLOB];
            CK_ULONG len = sizeof(blob);
            uint8_t iv[16] = { 0 };
            CK_RSA_PKCS_OAEP_PARAMS oaep;
            CK_MECHANISM mechanism = with_parameter(at->mechanisms[m], &oaep, iv);

            at->tries++;
            if (at->cryptoki->C_WrapKey(at->session, &mechanism, at->wrappers[w], key, blob,
                                        &len) == CKR_OK)
                steal(at, "wrapped with mechanism", at->mechanisms[m]);
        }
    }
}

static void attack(thief *at, CK_OBJECT_HANDLE key)
{
    read_values(at, key);
    take_flags_back(at, key);
    wrap_everyhow(at, key);
}

static void name_key(thief *at, CK_OBJECT_HANDLE key)
{
    uint8_t id[64];
    CK_ATTRIBUTE what = { CKA_ID, id, sizeof(id) };

    must("CKA_ID", at->cryptoki->C_GetAttributeValue(at->session, key, &what, 1));
    for (CK_ULONG i = 0; i < what.ulValueLen; i++)
        (void)snprintf(at->id + 2 * i, 3, "%02x", id[i]);
    at->id[2 * what.ulValueLen] = '\0';
}

static void describe(thief *at, CK_OBJECT_HANDLE key)
{
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE what = { CKA_KEY_TYPE, &type, sizeof(type) };

    name_key(at, key);
    must("CKA_KEY_TYPE", at->cryptoki->C_GetAttributeValue(at->session, key, &what, 1));
    (void)printf("key id=%s type=%lu local=%d sensitive=%d always_sensitive=%d extractable=%d "
                 "never_extractable=%d private=%d wrap=%d\n",
                 at->id, type, flag_of(at, key, CKA_LOCAL), flag_of(at, key, CKA_SENSITIVE),
                 flag_of(at, key, CKA_ALWAYS_SENSITIVE), flag_of(at, key, CKA_EXTRACTABLE),
                 flag_of(at, key, CKA_NEVER_EXTRACTABLE), flag_of(at, key, CKA_PRIVATE),
                 flag_of(at, key, CKA_WRAP));
}

int main(int argc, char **argv)
{
    thief at = { 0 };
    CK_OBJECT_HANDLE control = CK_INVALID_HANDLE;
    CK_C_GetFunctionList functions;
    void *module;

    if (argc != 4) {
        (void)fputs("usage: extract MODULE TOKEN-LABEL PIN-FILE\n", stderr);
        return UNABLE;
    }
    module = dlopen(argv[1], RTLD_NOW);
    functions = module ? (CK_C_GetFunctionList)dlsym(module, "C_GetFunctionList") : NULL;
    if (!functions)
        give_up("the module cannot be loaded", 0);
    must("C_GetFunctionList", functions(&at.cryptoki));
    must("C_Initialize", at.cryptoki->C_Initialize(NULL));
    find_slot(&at, argv[2]);
    log_in(&at, argv[3]);
    find_keys(&at, CKO_PRIVATE_KEY);
    find_keys(&at, CKO_SECRET_KEY);
    for (size_t i = 0; i < at.key_count; i++)
        describe(&at, at.keys[i]);
    bring_wrappers(&at, &control);

    memcpy(at.id, "control", sizeof("control"));
    attack(&at, control);
    if (at.stolen < 8)
        give_up("the thief cannot even steal an extractable key", at.stolen);
    at.stolen = 0;
    (void)puts("control stolen; now the token's keys");
    for (size_t i = 0; i < at.key_count; i++) {
        name_key(&at, at.keys[i]);
        attack(&at, at.keys[i]);
    }
    (void)printf("keys=%zu tries=%u stolen=%u\n", at.key_count, at.tries, at.stolen);
    (void)at.cryptoki->C_Finalize(NULL);
    return at.stolen ? STOLEN : EXIT_SUCCESS;
}
