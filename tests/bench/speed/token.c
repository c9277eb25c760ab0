/* token.c - Cryptoki, directly. */
#include "tests/bench/speed/token.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "server/base/compiler.h"

enum { MOST_SLOTS = 64, PRIVATE_PARTS = 6 };

void bench_must(CK_RV rv, const char *what)
{
    char text[32];

    if (rv == CKR_OK)
        return;
    (void)snprintf(text, sizeof(text), "CKR 0x%lx", rv);
    bench_die(what, text);
}

CK_SESSION_HANDLE bench_token_session(const bench_token *token)
{
    CK_SESSION_HANDLE session;

    bench_must(token->f->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                       &session),
               "C_OpenSession");
    return session;
}

static void find_slot(bench_token *token)
{
    CK_SLOT_ID slots[MOST_SLOTS];
    CK_ULONG count = MOST_SLOTS;
    size_t len = strlen(token->options->label);

    bench_must(token->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;

        bench_must(token->f->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (!memcmp(info.label, token->options->label, len) &&
            (len == sizeof(info.label) || info.label[len] == ' ')) {
            token->slot = slots[i];
            return;
        }
    }
    bench_die("no token", token->options->label);
}

void bench_token_load(bench_token *token, const bench_options *options)
{
    CK_C_GetFunctionList get_list;
    CK_C_INITIALIZE_ARGS locking = { .flags = CKF_OS_LOCKING_OK };
    void *module = dlopen(options->module, RTLD_NOW);
    void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;

    if (!symbol)
        bench_die("module", options->module);
    *token = (bench_token){ .options = options };
    memcpy(&get_list, &symbol, sizeof(get_list));
    bench_must(get_list(&token->f), "C_GetFunctionList");
    bench_must(token->f->C_Initialize(&locking), "C_Initialize");
}

void bench_token_login(bench_token *token)
{
    const char *pin = token->options->pin;

    find_slot(token);
    token->owner = bench_token_session(token);
    bench_must(token->f->C_Login(token->owner, CKU_USER, (CK_BYTE *)(uintptr_t)pin, strlen(pin)),
               "C_Login");
}

void bench_token_open(bench_token *token, const bench_options *options)
{
    bench_token_load(token, options);
    bench_token_login(token);
}

void bench_token_find(bench_token *token)
{
    const char *name = token->options->name;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE wanted = { CKA_LABEL, (void *)(uintptr_t)name, strlen(name) };
    CK_ATTRIBUTE change = { CKA_TOKEN, &no, sizeof(no) };
    CK_ULONG count = 0;

    bench_must(token->f->C_FindObjectsInit(token->owner, &wanted, 1), "C_FindObjectsInit");
    bench_must(token->f->C_FindObjects(token->owner, &token->key, 1, &count), "C_FindObjects");
    bench_must(token->f->C_FindObjectsFinal(token->owner), "C_FindObjectsFinal");
    if (!count)
        bench_die("no key", name);
    if (token->options->copies)
        bench_must(token->f->C_CopyObject(token->owner, token->key, &change, 1, &token->key),
                   "C_CopyObject");
}

static CK_OBJECT_HANDLE make_pair(const bench_token *token, CK_SESSION_HANDLE session,
                                  CK_MECHANISM_TYPE how, CK_ATTRIBUTE kind)
{
    const char *label = token->options->name;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM mechanism = { how, NULL, 0 };
    CK_ATTRIBUTE public_part[] = { kind, { CKA_VERIFY, &yes, sizeof(yes) } };
    CK_ATTRIBUTE private_part[PRIVATE_PARTS] = {
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_SIGN, &yes, sizeof(yes) },
        { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_OBJECT_HANDLE public_key, key;

    bench_must(token->f->C_GenerateKeyPair(session, &mechanism, public_part, 2, private_part,
                                           PRIVATE_PARTS, &public_key, &key),
               "C_GenerateKeyPair");
    bench_must(token->f->C_DestroyObject(session, public_key), "C_DestroyObject");
    return key;
}

static CK_OBJECT_HANDLE make_secret(const bench_token *token, CK_SESSION_HANDLE session)
{
    const char *label = token->options->name;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG len = 32;
    CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_ATTRIBUTE parts[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) },
        { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_ENCRYPT, &yes, sizeof(yes) },
        { CKA_DECRYPT, &yes, sizeof(yes) },
        { CKA_VALUE_LEN, &len, sizeof(len) },
        { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    };
    CK_OBJECT_HANDLE key;

    bench_must(token->f->C_GenerateKey(session, &generate, parts, KV_COUNT(parts), &key),
               "C_GenerateKey");
    return key;
}

CK_OBJECT_HANDLE bench_token_make(const bench_token *token, CK_SESSION_HANDLE session)
{
    static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    static CK_BYTE p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
    static CK_BYTE ed25519[] = "\x13\x0c"
                               "edwards25519";
    CK_ULONG bits = token->options->what == BENCH_RSA4096 ? 4096 : 2048;

    switch (token->options->what) {
    case BENCH_P256:
    case BENCH_CREATE:
        return make_pair(token, session, CKM_EC_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE){ CKA_EC_PARAMS, p256, sizeof(p256) });
    case BENCH_P384:
        return make_pair(token, session, CKM_EC_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE){ CKA_EC_PARAMS, p384, sizeof(p384) });
    case BENCH_ED25519:
        return make_pair(token, session, CKM_EC_EDWARDS_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE){ CKA_EC_PARAMS, ed25519, sizeof(ed25519) - 1 });
    case BENCH_RSA2048:
    case BENCH_RSA4096:
        return make_pair(token, session, CKM_RSA_PKCS_KEY_PAIR_GEN,
                         (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof(bits) });
    case BENCH_GCM:
    case BENCH_SECRET:
        return make_secret(token, session);
    case BENCH_CERTIFICATE:
    case BENCH_WHAT_COUNT:
        break;
    }
    bench_die("--what", "a token does not do that");
}
