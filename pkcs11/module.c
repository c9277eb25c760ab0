/* module.c - loading a PKCS#11 module and the gate in front of it. */
#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pkcs11/rv.h"
#include "server/base/clock.h"

enum { RETRY_MS = 1000 };

/* Those that are called; a module has all of them, if only to say that it does not support one. */
static const size_t called[] = {
#define CALLED(name) offsetof(CK_FUNCTION_LIST, C_##name)
    CALLED(Initialize),
    CALLED(Finalize),
    CALLED(GetSlotList),
    CALLED(GetTokenInfo),
    CALLED(GetMechanismList),
    CALLED(InitToken),
    CALLED(InitPIN),
    CALLED(OpenSession),
    CALLED(CloseSession),
    CALLED(Login),
    CALLED(Logout),
    CALLED(CreateObject),
    CALLED(CopyObject),
    CALLED(DestroyObject),
    CALLED(GetAttributeValue),
    CALLED(SetAttributeValue),
    CALLED(FindObjectsInit),
    CALLED(FindObjects),
    CALLED(FindObjectsFinal),
    CALLED(EncryptInit),
    CALLED(Encrypt),
    CALLED(DecryptInit),
    CALLED(Decrypt),
    CALLED(SignInit),
    CALLED(Sign),
    CALLED(GenerateKey),
    CALLED(GenerateKeyPair),
    CALLED(WrapKey),
    CALLED(UnwrapKey),
    CALLED(GenerateRandom),
};

bool kv_module_is_whole(const CK_FUNCTION_LIST *functions)
{
    for (size_t i = 0; functions && i < KV_COUNT(called); i++) {
        void *function = NULL;

        memcpy(&function, (const char *)functions + called[i], sizeof(function));
        if (!function)
            return false;
    }
    return functions != NULL;
}

static kv_status load(const char *path, CK_FUNCTION_LIST **out, kv_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get;
    CK_RV rv;

    if (!library) {
        kv_fail_field(err, "module", "the PKCS#11 module cannot be loaded");
        return kv_note(err, "%s", dlerror());
    }
    *(void **)&get = dlsym(library, "C_GetFunctionList");
    if (!get)
        return kv_fail_field(err, "module", "'%s' is not a PKCS#11 module", path);
    rv = get(out);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_GetFunctionList");
    if (!kv_module_is_whole(*out))
        return kv_fail_field(err, "module", "'%s' is not a whole PKCS#11 module", path);
    return KV_OK;
}

static kv_status make(const char *path, CK_FUNCTION_LIST *functions, kv_module **out, kv_error *err)
{
    kv_module *module = calloc(1, sizeof(*module));

    if (module)
        module->path = strdup(path ? path : "");
    if (!module || !module->path) {
        free(module);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    module->functions = functions;
    pthread_rwlock_init(&module->gate, NULL);
    *out = module;
    return KV_OK;
}

kv_status kv_module_new(const char *path, CK_FUNCTION_LIST *functions, kv_module **out,
                        kv_error *err)
{
    if (!functions && !path)
        return kv_fail_field(err, "module", "a PKCS#11 module must be named");
    if (!functions)
        KV_TRY(load(path, &functions, err));
    return make(path, functions, out, err);
}

kv_status kv_module_new_isolated(const kv_isolated_config *config, kv_module **out, kv_error *err)
{
    kv_isolated *isolated = NULL;
    kv_status status;

    KV_TRY(kv_isolated_new(config, &isolated, err));
    status = make(config->module, kv_isolated_functions(isolated), out, err);
    if (status == KV_OK)
        (*out)->isolated = isolated;
    else
        kv_isolated_free(isolated);
    return status;
}

void kv_module_free(kv_module *module)
{
    if (!module)
        return;
    kv_module_stop(module);
    kv_isolated_free(module->isolated);
    pthread_rwlock_destroy(&module->gate);
    free(module->path);
    free(module);
}

kv_status kv_module_start(kv_module *module, kv_error *err)
{
    CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
    CK_RV rv;

    if (module->isolated)
        KV_TRY(kv_isolated_start(module->isolated, err));
    rv = module->functions->C_Initialize(&arguments);
    /* Another library of this process may have come first; the state is shared. */
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        if (module->isolated)
            kv_isolated_stop(module->isolated);
        return kv_rv_fail(err, rv, "C_Initialize");
    }
    module->initialised = true;
    atomic_fetch_add(&module->generation, 1);
    return KV_OK;
}

void kv_module_stop(kv_module *module)
{
    if (module->initialised)
        (void)module->functions->C_Finalize(NULL);
    module->initialised = false;
    if (module->isolated)
        kv_isolated_stop(module->isolated);
}

kv_status kv_module_unavailable(kv_error *err)
{
    kv_fail(err, KV_UNAVAILABLE, "the token is not available");
    err->retry_ms = RETRY_MS;
    return kv_because(err, KV_REASON_TOKEN_UNAVAILABLE);
}

kv_status kv_module_enter(kv_module *module, kv_error *err)
{
    if (atomic_load(&module->stopping))
        return kv_module_unavailable(err);
    pthread_rwlock_rdlock(&module->gate);
    if (module->initialised)
        return KV_OK;
    pthread_rwlock_unlock(&module->gate);
    return kv_module_unavailable(err);
}

void kv_module_leave(kv_module *module)
{
    pthread_rwlock_unlock(&module->gate);
}

kv_status kv_module_clear(kv_module *module, unsigned wait_ms, kv_error *err)
{
    static const struct timespec step = { .tv_nsec = 1000000 };
    kv_deadline deadline = kv_deadline_in_ms(wait_ms);

    atomic_store(&module->stopping, true);
    while (pthread_rwlock_trywrlock(&module->gate) != 0) {
        if (kv_deadline_passed(deadline)) {
            atomic_store(&module->stopping, false);
            return kv_fail(err, KV_TIMEOUT, "a call to the PKCS#11 module does not return");
        }
        (void)nanosleep(&step, NULL);
    }
    return KV_OK;
}

void kv_module_readmit(kv_module *module)
{
    pthread_rwlock_unlock(&module->gate);
    atomic_store(&module->stopping, false);
}
