/* init_tokens.c - tokens with random PINs, and a self-signed TLS certificate to begin with. */
#include "server/init_tokens.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pkcs11/token_create.h"
#include "pkcs11/token_key.h"
#include "pkcs11/token_sign.h"
#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/credentials.h"
#include "server/init_again.h"
#include "server/x509/bundle.h"
#include "server/x509/certificate.h"

enum { PIN_BYTES = 16, ARENA_BYTES = 1 << 20, LABEL_MAX = 32, TLS_MONTHS = 3 };

/* --- files --- */

static void make_parent(const char *path)
{
    char folder[PATH_MAX];
    char *slash;

    (void)snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        (void)mkdir(folder, 0700);
    }
}

/* Under another name first, so that nobody ever finds half a PIN. */
kv_status kv_init_write_file(const char *path, kv_slice bytes, kv_error *err)
{
    char temporary[PATH_MAX];
    bool written;
    int linked;
    int fd;

    make_parent(path);
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", path) >= sizeof(temporary))
        return kv_fail(err, KV_BAD_REQUEST, "'%.120s' is too long", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return kv_fail(err, KV_UNAVAILABLE, "'%.120s' cannot be made: %s", path, strerror(errno));
    written = write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len && fsync(fd) == 0;
    (void)close(fd);
    linked = written ? link(temporary, path) : -1;
    if (linked != 0 && errno == EEXIST)
        kv_fail(err, KV_EXISTS, "'%.120s' is there already", path);
    else if (linked != 0)
        kv_fail(err, KV_UNAVAILABLE, "'%.120s' cannot be written: %s", path, strerror(errno));
    (void)unlink(temporary);
    return linked == 0 ? KV_OK : err->status;
}

/* --- tokens --- */

static kv_status random_pin(kv_secret_buf *out, kv_error *err)
{
    uint8_t bytes[PIN_BYTES];

    KV_TRY(kv_secret_buf_new(2 * PIN_BYTES, out, err));
    if (!kv_random_id(bytes, sizeof(bytes)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    kv_hex(kv_slice_of(bytes, sizeof(bytes)), (char *)out->data);
    kv_wipe(bytes, sizeof(bytes));
    return KV_OK;
}

/* The PIN of an existing file, or a random one in a new file. */
static kv_status pin_of(const char *path, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) fresh = KV_SECRET_NONE;

    if (access(path, F_OK) == 0)
        return kv_secret_buf_read_file(path, 255, out, err);
    KV_TRY(random_pin(&fresh, err));
    KV_TRY(kv_init_write_file(path, kv_secret_buf_slice(&fresh), err));
    *out = kv_secret_buf_move(&fresh);
    return KV_OK;
}

/* The label in "pkcs11:token=LABEL;..."; percent signs are not for labels we make. */
static kv_status label_of(const char *uri, char out[LABEL_MAX + 1], kv_error *err)
{
    const char *at = strstr(uri, "token=");
    size_t len = at ? strcspn(at + 6, ";?") : 0;

    if (!len || len > LABEL_MAX || memchr(at + 6, '%', len))
        return kv_fail_field(err, "uri", "to be created, a token needs a URI with a plain token=");
    memcpy(out, at + 6, len);
    out[len] = '\0';
    return KV_OK;
}

static kv_status create_token(const kv_settings *settings, const kv_token_settings *token,
                              kv_error *err)
{
    KV_AUTO(kv_secret_buf) pin = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) so_pin = KV_SECRET_NONE;
    char label[LABEL_MAX + 1];
    char so_path[PATH_MAX];
    kv_token_create_spec spec = {
        .module = token->module, .label = label, .so_pin = &so_pin, .pin = &pin
    };
    kv_status status;

    KV_TRY(label_of(token->uri, label, err));
    if ((size_t)snprintf(so_path, sizeof(so_path), "%s/custody/%s.so-pin", settings->home, label) >=
        sizeof(so_path))
        return kv_fail(err, KV_BAD_REQUEST, "[server] home is too long");
    KV_TRY(pin_of(token->pin_file, &pin, err));
    KV_TRY(pin_of(so_path, &so_pin, err));
    status = kv_token_create(&spec, err);
    if (status == KV_EXISTS) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    return status;
}

kv_status kv_init_create_tokens(const kv_settings *settings, kv_error *err)
{
    KV_TRY(kv_init_mend_tokens(settings, err));
    for (int i = 0; i < KV_SETTING_TOKENS; i++)
        if (settings->tokens[i].module[0])
            KV_TRY(create_token(settings, &settings->tokens[i], err));
    return KV_OK;
}

/* --- TLS --- */

typedef struct tls_key {
    kv_token *token;
    kv_key_ref ref;
} tls_key;

static kv_status sign(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err)
{
    const tls_key *key = context;
    uint8_t *bytes = kv_arena_alloc(arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;

    if (!bytes)
        return kv_arena_full(err);
    KV_TRY(kv_token_sign(key->token, &key->ref, alg, digest, bytes, &len, err));
    *signature = kv_slice_of(bytes, len);
    return KV_OK;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

typedef struct names {
    kv_slice dns[KV_INIT_NAMES + 1];
    kv_slice addresses[KV_INIT_NAMES + 2];
    size_t dns_count;
    size_t address_count;
} names;

/* Without names on the command line: this machine as it calls itself. */
static void sort_names(const kv_init_request *request, names *out)
{
    if (!request->tls_name_count) {
        out->dns[out->dns_count++] = KV_SLICE("localhost");
        out->addresses[out->address_count++] = KV_SLICE("127.0.0.1");
        out->addresses[out->address_count++] = KV_SLICE("::1");
    }
    for (unsigned i = 0; i < request->tls_name_count; i++) {
        kv_slice name = kv_slice_text(request->tls_names[i]);

        if (is_address(request->tls_names[i]))
            out->addresses[out->address_count++] = name;
        else
            out->dns[out->dns_count++] = name;
    }
}

static kv_status certify(const kv_settings *settings, const names *for_names, tls_key *key,
                         kv_arena *arena, kv_error *err)
{
    static const kv_slice server_auth[] = { KV_SLICE("1.3.6.1.5.5.7.3.1") };
    kv_x509_policy policy = {
        .key_props = { .kty = KV_SLICE("EC"), .crv = KV_SLICE("P-256") },
        .x509_props = { .subject = KV_SLICE("CN=keyvaultd"),
                        .sans = { .dns_names = { for_names->dns, for_names->dns_count },
                                  .ip_addresses = { for_names->addresses,
                                                    for_names->address_count } },
                        .ekus = { server_auth, 1 },
                        .key_usage = KV_X509_DIGITAL_SIGNATURE,
                        .validity_months = TLS_MONTHS,
                        .validity_months_given = true },
        .issuer = { .name = KV_SLICE(KV_X509_ISSUER_SELF) },
    };
    kv_x509_build build = { .policy = &policy,
                            .spki = key->ref.spki,
                            .signer = { .sign = sign, .context = key },
                            .now_ms = kv_clock_now_ms(NULL),
                            .scope = KV_X509_LINT_PRIVATE };
    kv_x509_built built;
    kv_slice pem;

    kv_x509_policy_defaults(&policy);
    KV_TRY(kv_x509_policy_check(arena, &policy, err));
    KV_TRY(kv_x509_certificate_build(arena, &build, &built, err));
    KV_TRY(kv_x509_chain_pem(arena, (kv_x509_list){ &built.der, 1 }, &pem, err));
    return kv_init_write_file(settings->tls_certificate, pem, err);
}

static kv_status make_tls(const kv_settings *settings, const kv_init_request *request,
                          kv_token *token, kv_arena *arena, kv_error *err)
{
    kv_key_spec spec = { .class = KV_CLASS_SIGN,
                         .kind = KV_KEY_P256,
                         .label = kv_slice_text(KV_INIT_LABEL_TLS),
                         .keep_public = true };
    tls_key key = { .token = token, .ref = { .class = KV_CLASS_SIGN } };
    names for_names = { .dns_count = 0 };
    kv_key_born born;

    if (!kv_random_id(spec.id, sizeof(spec.id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_token_key_generate(token, &spec, arena, &born, err));
    memcpy(key.ref.id, spec.id, sizeof(spec.id));
    key.ref.spki = born.spki;
    sort_names(request, &for_names);
    return certify(settings, &for_names, &key, arena, err);
}

kv_status kv_init_tls(const kv_settings *settings, const kv_init_request *request,
                      kv_tokens *tokens, kv_error *err)
{
    kv_token *token = kv_tokens_get(tokens, KV_DUTY_TLS);
    kv_arena arena = KV_ARENA(ARENA_BYTES);
    kv_status status;

    if (!token || access(settings->tls_certificate, F_OK) == 0)
        return KV_OK;
    status = make_tls(settings, request, token, &arena, err);
    kv_arena_cleanup(&arena);
    return status;
}
