/* world.h - everything an audit log needs, in memory and in one temporary folder.
 *
 * The store counts its changes and keeps pending rows and segment heads; the signer is a software
 * key; the anchor is a buffer. Each can be told to fail, and each can be set back.
 */
#pragma once

#include <pthread.h>

#include <openssl/evp.h>

#include "server/audit/audit.h"
#include "server/audit/search.h"
#include "server/audit/verify.h"
#include "tests/support/kv_cmocka.h"

enum { WORLD_PENDING = 4096, WORLD_SEGMENTS = 512, WORLD_RECORD_BYTES = 1024 };

typedef struct world_pending {
    uint8_t request_id[16];
    uint8_t record[WORLD_RECORD_BYTES];
    size_t len;
    kv_store_state state;
    uint8_t mac[KV_PENDING_MAC_BYTES];
    size_t mac_len; /* 0: whoever made the change gave none */
} world_pending;

typedef struct world_store {
    kv_store base;
    pthread_mutex_t mutex; /* guards all that follows */
    kv_store_state state;
    world_pending pending[WORLD_PENDING];
    unsigned pending_count;
    int64_t segments[WORLD_SEGMENTS]; /* ids */
    unsigned segment_count;
    bool keep_pending; /* pending_done does nothing */
} world_store;

world_store *world_store_new(void);
void world_store_free(world_store *store);

typedef struct audit_world {
    char folder[64];
    world_store *store;
    EVP_PKEY *key;
    uint8_t spki[128];
    size_t spki_len;
    char kid[33];
    _Atomic bool signer_fails;
    _Atomic unsigned signed_count;
    pthread_mutex_t mutex; /* guards the anchor */
    uint8_t anchor[512];
    size_t anchor_len;
    bool anchor_fails;
    uint8_t node[16];
    _Atomic int64_t now_ms; /* the chosen time; 0: the system's */
    kv_clock clock;
    kv_audit_config config;
    kv_audit *audit; /* NULL while stopped */
} audit_world;

/* A world without a log: config.create is set. */
void world_make(audit_world *world);
void world_destroy(audit_world *world);

/* Fail the test when they fail. The first start creates the chain. */
void world_start(audit_world *world);
void world_stop(audit_world *world);
/* Expects KV_INTERNAL with KV_REASON_INTEGRITY and `message` in the error. */
void world_refuses_to_start(audit_world *world, const char *message);

/* An entry with a random request id. */
kv_audit_entry world_entry(audit_world *world, const char *operation);
/* Gives a pending row the code of what it holds. */
void world_authenticate(const audit_world *world, world_pending *pending);
/* Posts and waits for the result. */
kv_status world_post(audit_world *world, const kv_audit_entry *entry, bool pending);
void world_post_many(audit_world *world, unsigned count);
/* A change of the store, its pending row, and its record when `post`. */
void world_change(audit_world *world, bool post);

/* Verifies the folder with the world's key. */
kv_audit_report world_verify(audit_world *world, kv_slice expected);
/* Sound, `records` long, proved to its end, and what the anchor says. */
void world_assert_sound(audit_world *world, uint64_t records);
kv_audit_status world_status(audit_world *world);
kv_audit_key world_key(const audit_world *world);

/* Files of the folder. `name` is relative. */
void world_path(const audit_world *world, const char *name, char out[128]);
uint8_t *world_read(const audit_world *world, const char *name, size_t *len);
void world_write(const audit_world *world, const char *name, const uint8_t *bytes, size_t len);
void world_remove_folder(const char *folder);
/* Another folder with the same files. */
void world_copy_folder(const char *from, const char *to);

/* Where the frames of a segment are. */
typedef struct world_frame {
    size_t offset;
    size_t bytes;
    bool checkpoint;
    uint64_t sequence; /* of a record */
} world_frame;

unsigned world_frames(const uint8_t *bytes, size_t len, world_frame *out, unsigned most);
/* Gives a frame the checksum of its bytes. */
void world_fix_crc(uint8_t *frame, size_t bytes);
