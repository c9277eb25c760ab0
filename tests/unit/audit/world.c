/* world.c - the signer, the anchor and the log of the audit tests. */
#include "tests/unit/audit/world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "server/audit/frame.h"
#include "server/audit/record.h"
#include "server/base/text.h"

/* --- the code of pending records --- */

static bool make_mac(const void *context, const kv_pending *pending, const kv_store_state *state,
                     uint8_t out[KV_PENDING_MAC_BYTES])
{
    const audit_world *world = context;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(hash, world->kid, sizeof(world->kid)) == 1 &&
                EVP_DigestUpdate(hash, pending->request_id.data, pending->request_id.len) == 1 &&
                EVP_DigestUpdate(hash, pending->record.data, pending->record.len) == 1 &&
                EVP_DigestUpdate(hash, &state->version, sizeof(state->version)) == 1 &&
                EVP_DigestFinal_ex(hash, out, NULL) == 1;

    EVP_MD_CTX_free(hash);
    return good;
}

void world_authenticate(const audit_world *world, world_pending *pending)
{
    kv_pending what = { .node = world->config.node,
                        .request_id = kv_slice_of(pending->request_id, 16),
                        .record = kv_slice_of(pending->record, pending->len) };

    assert_true(make_mac(world, &what, &pending->state, pending->mac));
}

/* --- signer, anchor, clock --- */

static kv_status sign(void *context, const uint8_t digest[32], uint8_t signature[64], kv_error *err)
{
    audit_world *world = context;
    EVP_PKEY_CTX *signer;
    uint8_t der[128];
    const uint8_t *at = der;
    size_t len = sizeof(der);
    ECDSA_SIG *pair;

    if (world->signer_fails)
        return kv_fail(err, KV_UNAVAILABLE, "the signer fails");
    world->signed_count++;
    signer = EVP_PKEY_CTX_new(world->key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(signer), 1);
    assert_int_equal(EVP_PKEY_sign(signer, der, &len, digest, 32), 1);
    EVP_PKEY_CTX_free(signer);
    pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32), 32);
    ECDSA_SIG_free(pair);
    return KV_OK;
}

static kv_status read_anchor(void *context, kv_arena *arena, kv_slice *out, kv_error *err)
{
    audit_world *world = context;
    kv_status status;

    pthread_mutex_lock(&world->mutex);
    status = kv_arena_copy(arena, kv_slice_of(world->anchor, world->anchor_len), out, err);
    pthread_mutex_unlock(&world->mutex);
    return status;
}

static kv_status write_anchor(void *context, kv_slice value, kv_error *err)
{
    audit_world *world = context;
    bool fails;

    pthread_mutex_lock(&world->mutex);
    fails = world->anchor_fails;
    if (!fails && value.len <= sizeof(world->anchor)) {
        memcpy(world->anchor, value.data, value.len);
        world->anchor_len = value.len;
    }
    pthread_mutex_unlock(&world->mutex);
    return fails ? kv_fail(err, KV_UNAVAILABLE, "the anchor fails") : KV_OK;
}

static int64_t now_ms(void *context)
{
    audit_world *world = context;

    return world->now_ms ? world->now_ms : kv_clock_now_ms(NULL);
}

static void make_key(audit_world *world)
{
    uint8_t *at = world->spki;
    uint8_t id[16];
    int len;

    world->key = EVP_EC_gen("P-256");
    assert_non_null(world->key);
    len = i2d_PUBKEY(world->key, &at);
    assert_in_range(len, 1, (int)sizeof(world->spki));
    world->spki_len = (size_t)len;
    assert_true(kv_random_id(id, sizeof(id)));
    kv_hex(kv_slice_of(id, sizeof(id)), world->kid);
}

/* --- the world --- */

void world_make(audit_world *world)
{
    const char *folder = getenv("TMPDIR");

    memset(world, 0, sizeof(*world));
    (void)snprintf(world->folder, sizeof(world->folder), "%s/kv-audit-XXXXXX",
                   folder && strlen(folder) < 40 ? folder : "/tmp");
    assert_non_null(mkdtemp(world->folder));
    world->store = world_store_new();
    pthread_mutex_init(&world->mutex, NULL);
    make_key(world);
    assert_true(kv_random_id(world->node, sizeof(world->node)));
    world->clock = (kv_clock){ .now_ms = now_ms, .context = world };
    world->config = (kv_audit_config){
        .folder = world->folder,
        .segment_bytes = 1024 * 1024,
        .checkpoint_records = 1000000,
        .checkpoint_ms = 1000000,
        .node = kv_slice_of(world->node, sizeof(world->node)),
        .create = true,
        .store = &world->store->base,
        .signer = { .sign = sign,
                    .context = world,
                    .kid = kv_slice_of(world->kid, 32),
                    .spki = kv_slice_of(world->spki, world->spki_len) },
        .anchor = { .read = read_anchor, .write = write_anchor, .context = world },
        .pending_mac = { .make = make_mac, .context = world },
        .clock = &world->clock,
    };
}

void world_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        char path[512];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(folder);
}

void world_destroy(audit_world *world)
{
    kv_audit_stop(world->audit);
    world_remove_folder(world->folder);
    EVP_PKEY_free(world->key);
    pthread_mutex_destroy(&world->mutex);
    world_store_free(world->store);
}

void world_start(audit_world *world)
{
    kv_error err = { 0 };

    assert_null(world->audit);
    assert_kv_ok(kv_audit_start(&world->config, &world->audit, &err));
    world->config.create = false;
}

void world_stop(audit_world *world)
{
    kv_audit_stop(world->audit);
    world->audit = NULL;
}

void world_refuses_to_start(audit_world *world, const char *message)
{
    kv_error err = { 0 };

    assert_kv_fails(KV_INTERNAL, kv_audit_start(&world->config, &world->audit, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    if (!strstr(err.message, message))
        fail_msg("'%s' does not say '%s' (%s)", err.message, message, err.detail);
    assert_null(world->audit);
}

kv_audit_entry world_entry(audit_world *world, const char *operation)
{
    kv_audit_entry entry = { .time_ms = kv_clock_now_ms(&world->clock),
                             .operation = operation,
                             .peer = KV_SLICE("127.0.0.1:5555"),
                             .vault = KV_SLICE("payments"),
                             .name = KV_SLICE("web") };

    assert_true(kv_random_id(entry.request_id, sizeof(entry.request_id)));
    return entry;
}

typedef struct waiter {
    kv_audit_ticket ticket;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    bool finished;
    kv_status status;
} waiter;

static void wake(kv_audit_ticket *ticket, kv_status status)
{
    waiter *at = (waiter *)ticket;

    pthread_mutex_lock(&at->mutex);
    at->finished = true;
    at->status = status;
    pthread_cond_signal(&at->done);
    pthread_mutex_unlock(&at->mutex);
}

kv_status world_post(audit_world *world, const kv_audit_entry *entry, bool pending)
{
    waiter at = { .ticket = { .entry = entry, .pending = pending, .done = wake },
                  .mutex = PTHREAD_MUTEX_INITIALIZER,
                  .done = PTHREAD_COND_INITIALIZER };

    kv_audit_post(world->audit, &at.ticket);
    pthread_mutex_lock(&at.mutex);
    while (!at.finished)
        pthread_cond_wait(&at.done, &at.mutex);
    pthread_mutex_unlock(&at.mutex);
    pthread_mutex_destroy(&at.mutex);
    pthread_cond_destroy(&at.done);
    return at.status;
}

void world_post_many(audit_world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        kv_audit_entry entry = world_entry(world, "KeySign");

        assert_int_equal(world_post(world, &entry, false), KV_OK);
    }
}

void world_change(audit_world *world, bool post)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(65536);
    kv_audit_entry entry = world_entry(world, "SecretSet");
    kv_change change = { .pending.node = world->config.node,
                         .pending_mac = world->config.pending_mac };
    kv_store_state state;
    kv_error err = { 0 };

    change.pending.request_id = kv_slice_of(entry.request_id, sizeof(entry.request_id));
    assert_kv_ok(kv_audit_encode(&entry, &arena, &change.pending.record, &err));
    assert_kv_ok(world->store->base.ops->apply(&world->store->base, &change, &state, &err));
    entry.store_version = state.version;
    memcpy(entry.store_digest, state.digest, sizeof(entry.store_digest));
    if (post)
        assert_int_equal(world_post(world, &entry, true), KV_OK);
}

kv_audit_key world_key(const audit_world *world)
{
    return (kv_audit_key){ .kid = world->config.signer.kid, .spki = world->config.signer.spki };
}

kv_audit_report world_verify(audit_world *world, kv_slice expected)
{
    kv_audit_key key = world_key(world);
    kv_audit_verify_in in = { .keys = &key, .key_count = 1, .expected = expected };
    kv_audit_report report;
    kv_error err = { 0 };

    assert_kv_ok(kv_audit_verify_folder(world->folder, &in, &report, &err));
    return report;
}

void world_assert_sound(audit_world *world, uint64_t records)
{
    kv_audit_report report = world_verify(world, kv_slice_of(world->anchor, world->anchor_len));

    if (report.broken)
        fail_msg("%s: %s", kv_audit_break_name(report.broken), report.what);
    assert_int_equal(report.last, records);
    assert_int_equal(report.proved, records);
}

kv_audit_status world_status(audit_world *world)
{
    kv_audit_status status;

    kv_audit_get_status(world->audit, &status);
    return status;
}

/* --- files --- */

void world_path(const audit_world *world, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", world->folder, name);
}

static uint8_t *read_path(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *len = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, file), *len);
    (void)fclose(file);
    return bytes;
}

static void write_path(const char *path, const uint8_t *bytes, size_t len)
{
    FILE *file = fopen(path, "wbe");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

uint8_t *world_read(const audit_world *world, const char *name, size_t *len)
{
    char path[128];

    world_path(world, name, path);
    return read_path(path, len);
}

void world_write(const audit_world *world, const char *name, const uint8_t *bytes, size_t len)
{
    char path[128];

    world_path(world, name, path);
    write_path(path, bytes, len);
}

void world_copy_folder(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char path[512];
        uint8_t *bytes;
        size_t len;

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", from, entry->d_name);
        bytes = read_path(path, &len);
        (void)snprintf(path, sizeof(path), "%s/%s", to, entry->d_name);
        write_path(path, bytes, len);
        free(bytes);
    }
    (void)closedir(dir);
}

unsigned world_frames(const uint8_t *bytes, size_t len, world_frame *out, unsigned most)
{
    size_t offset = KV_SEGMENT_HEADER_BYTES;
    unsigned count = 0;
    kv_frame frame;

    while (count < most &&
           kv_frame_parse(kv_slice_of(bytes + offset, len - offset), &frame) == KV_FRAME_GOOD) {
        out[count++] = (world_frame){ .offset = offset,
                                      .bytes = frame.bytes,
                                      .checkpoint = frame.kind == KV_FRAME_CHECKPOINT,
                                      .sequence = frame.kind == KV_FRAME_RECORD
                                                      ? kv_audit_record_number(frame.message,
                                                                               KV_AUDIT_SEQUENCE)
                                                      : 0 };
        offset += frame.bytes;
    }
    return count;
}

void world_fix_crc(uint8_t *frame, size_t bytes)
{
    uint32_t crc = kv_crc32c(0, kv_slice_of(frame, 4));

    crc = kv_crc32c(crc, kv_slice_of(frame + KV_FRAME_HEAD_BYTES, bytes - KV_FRAME_HEAD_BYTES));
    for (int i = 7; i >= 4; i--, crc >>= 8)
        frame[i] = (uint8_t)crc;
}
