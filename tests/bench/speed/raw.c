/* raw.c - the token itself: Cryptoki, directly, a session a thread, nothing around it.
 *
 * The keys are made as token objects like those of a server, on a copy of its token.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#include "server/base/clock.h"
#include "tests/bench/speed/bench.h"

enum { THREADS_MOST = 64, SECRET_BYTES = 32, IV_BYTES = 12, TAG_BYTES = 16 };

typedef struct raw_token {
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot;
    CK_OBJECT_HANDLE key;
    CK_MECHANISM mechanism;
    CK_GCM_PARAMS gcm;
    CK_BYTE iv[IV_BYTES];
    CK_BYTE sealed[SECRET_BYTES + TAG_BYTES];
    const bench_options *options;
} raw_token;

typedef struct raw_thread {
    raw_token *token;
    pthread_t thread;
    bench_series series;
} raw_thread;

static void must(CK_RV rv, const char *what)
{
    char text[32];

    if (rv == CKR_OK)
        return;
    (void)snprintf(text, sizeof(text), "CKR 0x%lx", rv);
    bench_die(what, text);
}

static CK_SESSION_HANDLE open_session(raw_token *token)
{
    CK_SESSION_HANDLE session;

    must(token->f->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                 &session),
         "C_OpenSession");
    return session;
}

static void find_slot(raw_token *token)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;
    size_t len = strlen(token->options->label);

    must(token->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;

        must(token->f->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (!memcmp(info.label, token->options->label, len) &&
            (len == sizeof(info.label) || info.label[len] == ' ')) {
            token->slot = slots[i];
            return;
        }
    }
    bench_die("no token", token->options->label);
}

static void open_token(raw_token *token)
{
    CK_C_GetFunctionList get_list;
    CK_C_INITIALIZE_ARGS locking = { .flags = CKF_OS_LOCKING_OK };
    void *module = dlopen(token->options->module, RTLD_NOW);
    void *symbol = module ? dlsym(module, "C_GetFunctionList") : NULL;

    if (!symbol)
        bench_die("module", token->options->module);
    memcpy(&get_list, &symbol, sizeof(get_list));
    must(get_list(&token->f), "C_GetFunctionList");
    must(token->f->C_Initialize(&locking), "C_Initialize");
    find_slot(token);
    must(token->f->C_Login(open_session(token), CKU_USER, (CK_BYTE *)(uintptr_t)token->options->pin,
                           strlen(token->options->pin)),
         "C_Login");
}

static void make_pair(raw_token *token, CK_MECHANISM_TYPE how, CK_ATTRIBUTE *public_part,
                      CK_ULONG public_count)
{
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_MECHANISM mechanism = { how, NULL, 0 };
    CK_ATTRIBUTE private_part[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },     { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) }, { CKA_EXTRACTABLE, &no, sizeof(no) },
        { CKA_SIGN, &yes, sizeof(yes) },
    };
    CK_OBJECT_HANDLE public_key;

    must(token->f->C_GenerateKeyPair(open_session(token), &mechanism, public_part, public_count,
                                     private_part, 5, &public_key, &token->key),
         "C_GenerateKeyPair");
}

static void make_signing_key(raw_token *token)
{
    static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    CK_ULONG bits = 2048;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE curve[] = { { CKA_EC_PARAMS, p256, sizeof(p256) },
                             { CKA_VERIFY, &yes, sizeof(yes) } };
    CK_ATTRIBUTE modulus[] = { { CKA_MODULUS_BITS, &bits, sizeof(bits) },
                               { CKA_VERIFY, &yes, sizeof(yes) } };

    if (token->options->what == BENCH_P256)
        make_pair(token, CKM_EC_KEY_PAIR_GEN, curve, 2);
    else
        make_pair(token, CKM_RSA_PKCS_KEY_PAIR_GEN, modulus, 2);
    token->mechanism.mechanism = token->options->what == BENCH_P256 ? CKM_ECDSA : CKM_RSA_PKCS;
}

static void make_secret(raw_token *token)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG len = 32;
    CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
    CK_ATTRIBUTE parts[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },     { CKA_PRIVATE, &yes, sizeof(yes) },
        { CKA_SENSITIVE, &yes, sizeof(yes) }, { CKA_ENCRYPT, &yes, sizeof(yes) },
        { CKA_DECRYPT, &yes, sizeof(yes) },   { CKA_VALUE_LEN, &len, sizeof(len) },
    };
    CK_SESSION_HANDLE session = open_session(token);
    CK_BYTE plain[SECRET_BYTES] = { 0 };
    CK_ULONG sealed = sizeof(token->sealed);

    must(token->f->C_GenerateKey(session, &generate, parts, 6, &token->key), "C_GenerateKey");
    token->gcm = (CK_GCM_PARAMS){
        .pIv = token->iv, .ulIvLen = IV_BYTES, .ulIvBits = 8 * IV_BYTES, .ulTagBits = 8 * TAG_BYTES
    };
    token->mechanism = (CK_MECHANISM){ CKM_AES_GCM, &token->gcm, sizeof(token->gcm) };
    must(token->f->C_EncryptInit(session, &token->mechanism, token->key), "C_EncryptInit");
    must(token->f->C_Encrypt(session, plain, sizeof(plain), token->sealed, &sealed), "C_Encrypt");
}

static void sign_once(raw_token *token, CK_SESSION_HANDLE session)
{
    /* DigestInfo and digest for RSA, the digest alone for ECDSA: 51 and 32 bytes. */
    CK_BYTE message[51] = { 0x30, 0x31 };
    CK_BYTE signature[512];
    CK_ULONG len = sizeof(signature);
    CK_ULONG size = token->options->what == BENCH_P256 ? 32 : sizeof(message);

    must(token->f->C_SignInit(session, &token->mechanism, token->key), "C_SignInit");
    must(token->f->C_Sign(session, message, size, signature, &len), "C_Sign");
}

static void open_once(raw_token *token, CK_SESSION_HANDLE session)
{
    CK_BYTE plain[SECRET_BYTES + TAG_BYTES];
    CK_ULONG len = sizeof(plain);

    must(token->f->C_DecryptInit(session, &token->mechanism, token->key), "C_DecryptInit");
    must(token->f->C_Decrypt(session, token->sealed, sizeof(token->sealed), plain, &len),
         "C_Decrypt");
}

static void *work(void *argument)
{
    raw_thread *me = argument;
    CK_SESSION_HANDLE session = open_session(me->token);
    int64_t end = kv_monotonic_us() + (int64_t)(me->token->options->seconds * 1e6);
    int64_t now = kv_monotonic_us();

    while (now < end) {
        int64_t before = now;

        if (me->token->options->what == BENCH_SECRET)
            open_once(me->token, session);
        else
            sign_once(me->token, session);
        now = kv_monotonic_us();
        bench_add(&me->series, now - before);
    }
    return NULL;
}

void bench_raw(const bench_options *options, bench_series *out)
{
    raw_token token = { .options = options };
    raw_thread threads[THREADS_MOST] = { 0 };
    unsigned count = options->parallel < THREADS_MOST ? options->parallel : THREADS_MOST;
    int64_t start;

    open_token(&token);
    if (options->what == BENCH_SECRET)
        make_secret(&token);
    else
        make_signing_key(&token);
    start = kv_monotonic_us();
    for (unsigned i = 0; i < count; i++) {
        threads[i].token = &token;
        if (pthread_create(&threads[i].thread, NULL, work, &threads[i]) != 0)
            bench_die("thread", "cannot be started");
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i].thread, NULL);
    out->seconds = (double)(kv_monotonic_us() - start) / 1e6;
    for (unsigned i = 0; i < count; i++)
        bench_merge(out, &threads[i].series);
    must(token.f->C_DestroyObject(open_session(&token), token.key), "C_DestroyObject");
    (void)token.f->C_Finalize(NULL);
}
