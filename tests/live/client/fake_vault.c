/* fake_vault.c - four methods, spelled and meant in one place. */
#include "tests/live/client/fake_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <keyvault/v1/access.pb-c.h>
#include <keyvault/v1/audit.pb-c.h>
#include <keyvault/v1/keys.pb-c.h>
#include <openssl/sha.h>

#include "server/base/text.h"
#include "server/core/call.h"

enum { HELD_MS = 1, LIFE_S = 900, NAME_BYTES = 64 };

typedef struct fake_in {
    kv_target target;
    char name[NAME_BYTES];
    uint32_t limit;
} fake_in;

typedef struct fake_out {
    char text[NAME_BYTES];
    uint64_t number;
} fake_out;

static char *text_of(const char *from)
{
    return (char *)(uintptr_t)from;
}

static kv_status packed(const ProtobufCMessage *message, kv_arena *arena, kv_slice *body,
                        kv_error *err)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = kv_arena_alloc(arena, len);

    if (!data)
        return kv_arena_full(err);
    *body = kv_slice_of(data, protobuf_c_message_pack(message, data));
    return KV_OK;
}

/* --- wire --- */

static kv_status read_nothing(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    (void)body;
    (void)arena;
    (void)in;
    (void)err;
    return KV_OK;
}

static kv_status read_key(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    Keyvault__V1__GetKeyRequest *request =
        keyvault__v1__get_key_request__unpack(NULL, body.len, body.data);

    (void)arena;
    if (!request)
        return kv_fail(err, KV_BAD_REQUEST, "malformed message");
    (void)snprintf(((fake_in *)in)->name, NAME_BYTES, "%s", request->name);
    keyvault__v1__get_key_request__free_unpacked(request, NULL);
    return KV_OK;
}

static kv_status read_search(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    Keyvault__V1__SearchAuditRequest *request =
        keyvault__v1__search_audit_request__unpack(NULL, body.len, body.data);

    (void)arena;
    if (!request)
        return kv_fail(err, KV_BAD_REQUEST, "malformed message");
    ((fake_in *)in)->limit = request->limit;
    keyvault__v1__search_audit_request__free_unpacked(request, NULL);
    return KV_OK;
}

static kv_status write_who(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    Keyvault__V1__WhoAmIResponse who = KEYVAULT__V1__WHO_AM_IRESPONSE__INIT;
    Keyvault__V1__RoleAssignment held = KEYVAULT__V1__ROLE_ASSIGNMENT__INIT;
    Keyvault__V1__RoleAssignment *list[] = { &held };

    (void)out;
    held.role = KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER;
    held.scope = text_of("/");
    who.assignments = list;
    who.n_assignments = 1;
    return packed(&who.base, arena, body, err);
}

static kv_status write_token(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    Keyvault__V1__RoleToken token = KEYVAULT__V1__ROLE_TOKEN__INIT;

    token.token = text_of(((const fake_out *)out)->text);
    token.expires = time(NULL) + LIFE_S;
    return packed(&token.base, arena, body, err);
}

static kv_status write_key(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    Keyvault__V1__KeyBundle key = KEYVAULT__V1__KEY_BUNDLE__INIT;
    Keyvault__V1__ObjectId id = KEYVAULT__V1__OBJECT_ID__INIT;

    id.name = text_of(((const fake_out *)out)->text);
    key.id = &id;
    return packed(&key.base, arena, body, err);
}

static kv_status write_record(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    Keyvault__V1__AuditRecord record = KEYVAULT__V1__AUDIT_RECORD__INIT;

    record.sequence = ((const fake_out *)out)->number;
    return packed(&record.base, arena, body, err);
}

/* --- meaning --- */

static fake_vault *vault_of(kv_call *call)
{
    return call->services->gates.context;
}

static kv_status run_who(kv_call *call)
{
    atomic_fetch_add(&vault_of(call)->who, 1);
    return KV_OK;
}

static kv_status run_issue(kv_call *call)
{
    unsigned number = atomic_fetch_add(&vault_of(call)->issued, 1) + 1;

    (void)snprintf(((fake_out *)call->out)->text, NAME_BYTES, "%u", number);
    return KV_OK;
}

static kv_status run_get(kv_call *call)
{
    const fake_in *in = call->in;
    const struct timespec moment = { .tv_nsec = HELD_MS * 1000000L };

    atomic_fetch_add(&vault_of(call)->gets, 1);
    if (!strcmp(in->name, "missing"))
        return kv_fail(&call->error, KV_NOT_FOUND, "there is no key 'missing'");
    while (!strcmp(in->name, "held") && atomic_load(&vault_of(call)->holds))
        (void)nanosleep(&moment, NULL);
    (void)snprintf(((fake_out *)call->out)->text, NAME_BYTES, "%s", in->name);
    return KV_OK;
}

static kv_status run_search(kv_call *call)
{
    for (uint32_t i = 0; i < ((const fake_in *)call->in)->limit; i++) {
        fake_out out = { .number = i + 1 };

        KV_TRY(kv_call_send(call, &out));
    }
    return KV_OK;
}

#define ROW(which, may, way, path, read, write)                                    \
    {                                                                              \
        .name = "Fake", .needs = (may), .lane = (way), .in_size = sizeof(fake_in), \
        .out_size = sizeof(fake_out), .run = (which),                              \
        .at = { [KV_DOOR_GRPC] = { "/keyvault.v1." path, read, write } },          \
    }

static const kv_route routes[] = {
    ROW(run_who, KV_MAY_BE_KNOWN, KV_LANE_KEYS, "AccessService/WhoAmI", read_nothing, write_who),
    ROW(run_issue, KV_MAY_BE_KNOWN, KV_LANE_KEYS, "AccessService/IssueRoleToken", read_nothing,
        write_token),
    ROW(run_get, KV_MAY_KEYS_READ, KV_LANE_SLOW, "KeyService/GetKey", read_key, write_key),
    { .name = "FakeSearch",
      .needs = KV_MAY_AUDIT_READ,
      .lane = KV_LANE_SLOW,
      .streams = true,
      .in_size = sizeof(fake_in),
      .out_size = sizeof(fake_out),
      .run = run_search,
      .at = { [KV_DOOR_GRPC] = { "/keyvault.v1.AuditService/SearchAudit", read_search,
                                 write_record } } },
};

/* --- gates --- */

/* The number whose digest it is. */
static bool find_digest(fake_vault *vault, kv_slice digest, kv_arena *arena, kv_slice *number)
{
    unsigned issued = atomic_load(&vault->forgetful) ? 0 : atomic_load(&vault->issued);
    uint8_t hash[SHA256_DIGEST_LENGTH];
    kv_error ignored;
    kv_slice text;

    for (unsigned i = 1; i <= issued; i++) {
        if (kv_arena_print(arena, number, &ignored, "%u", i) != KV_OK)
            return false;
        (void)SHA256(number->data, number->len, hash);
        if (kv_base64url(arena, kv_slice_of(hash, sizeof(hash)), &text, &ignored) == KV_OK &&
            kv_slice_equal(text, kv_slice_of(digest.data + 1, digest.len - 1)))
            return true;
    }
    return false;
}

static kv_status identify(void *context, kv_call *call)
{
    fake_vault *vault = context;
    kv_slice credential = call->credential;

    call->caller.known = true;
    call->caller.principal_name = KV_SLICE("tester");
    if (kv_slice_starts_with(credential, KV_SLICE("~"))) {
        atomic_fetch_add(&vault->digests, 1);
        if (!find_digest(vault, credential, &call->arena, &credential)) {
            kv_fail(&call->error, KV_UNAUTHENTICATED, "send it whole");
            return kv_because(&call->error, KV_REASON_TOKEN_INVALID);
        }
    }
    return kv_arena_copy(&call->arena, credential, &call->caller.scope, &call->error);
}

static kv_status permit(void *context, kv_call *call)
{
    fake_vault *vault = context;
    uint64_t number = 0;

    if (call->route->needs == KV_MAY_BE_KNOWN)
        return KV_OK;
    if (kv_text_number(call->caller.scope, 1000000, &number) &&
        number > atomic_load(&vault->expired_up_to))
        return KV_OK;
    kv_fail(&call->error, KV_UNAUTHENTICATED, "the role token has expired");
    return kv_because(&call->error, KV_REASON_TOKEN_EXPIRED);
}

static void audit_post(void *context, kv_call *calls)
{
    (void)context;
    while (calls) {
        kv_call *call = calls;

        calls = call->next;
        kv_call_answer(call);
    }
}

static void audit_refused(void *context, const kv_refused *refused)
{
    (void)context;
    (void)refused;
}

static void audit_left(void *context, const uint8_t request_id[16], const kv_route *route,
                       const kv_peer *peer, kv_status status)
{
    (void)context;
    (void)request_id;
    (void)route;
    (void)peer;
    (void)status;
}

static void must(kv_status status, const kv_error *err)
{
    if (status == KV_OK)
        return;
    (void)fprintf(stderr, "fake vault: %s (%s)\n", err->message, err->detail);
    abort();
}

void fake_vault_start(fake_vault *vault, const kv_test_certs *certs)
{
    const kv_front_config config = { .listen = "127.0.0.1:0", .loops = 1 };
    const kv_lanes_config lanes = { .lane = {
                                        [KV_LANE_KEYS] = { .workers = 2, .queue = 512 },
                                        [KV_LANE_SLOW] = { .workers = 8, .queue = 512 },
                                        [KV_LANE_HANDSHAKE] = { .workers = 2, .queue = 64 },
                                    } };
    kv_tls_identity identity = { 0 };
    kv_error err = { 0 };

    *vault = (fake_vault){ 0 };
    vault->services = (kv_services){
        .routes = routes,
        .route_count = KV_COUNT(routes),
        .gates = { .identify = identify,
                   .permit = permit,
                   .audit_post = audit_post,
                   .audit_refused = audit_refused,
                   .audit_left = audit_left,
                   .context = vault },
    };
    must(kv_tls_identity_read(certs->server, certs->server_key, &identity, &err), &err);
    must(kv_tls_new(&identity, &vault->tls, &err), &err);
    kv_tls_identity_cleanup(&identity);
    must(kv_lanes_new(&lanes, &vault->lanes, &err), &err);
    must(kv_front_start(&config, &vault->services, vault->lanes, vault->tls, &vault->front, &err),
         &err);
    kv_front_set_serving(vault->front, true);
}

void fake_vault_stop(fake_vault *vault)
{
    atomic_store(&vault->holds, false);
    (void)kv_front_drain(vault->front);
    kv_lanes_stop(vault->lanes);
    kv_front_stop(vault->front);
    kv_lanes_free(vault->lanes);
    kv_tls_free(vault->tls);
}
