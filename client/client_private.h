/* client_private.h - what the parts of the library share. Private to client/. */
#pragma once

#include <stdatomic.h>

#include "client/channel.h"
#include "client/failure.h"
#include "client/keyvault.h"
#include "client/methods.h"
#include "client/role_tokens.h"
#include "server/base/secret_buf.h"

struct keyvault {
    kv_channel *channel;
    kv_role_tokens *tokens;
    bool has_certificate;
    bool has_role_token; /* one was given; the others are not asked for */
    kv_secret_buf role_token;
    atomic_bool role_token_over; /* the server refused it */
    uint32_t timeout_ms;
    uint32_t attempts;
    uint32_t endpoints;
    atomic_bool closing; /* nothing is sent any more */
};

/* What the memory of messages is taken from and wiped into. */
ProtobufCAllocator kv_client_allocator(void);

/* Finds the method and checks that the request is of its type. */
int kv_client_method(const char *path, const ProtobufCMessage *request, bool streams,
                     kv_method *out, keyvault_error *err);
/* Serialised, in memory that kv_wiping_free() frees. */
int kv_client_pack(const ProtobufCMessage *request, kv_slice *out, keyvault_error *err);
int kv_client_unpack(const ProtobufCMessageDescriptor *type, kv_slice bytes, ProtobufCMessage **out,
                     keyvault_error *err);
kv_deadline kv_client_deadline(const keyvault *handle, const keyvault_options *options);
/* Whether a call goes with a role token. */
bool kv_client_wants_token(const keyvault *handle, const kv_method *method, const char *path);
/* As kv_role_tokens_get and _drop, but the one that was given goes first. */
void kv_client_get_token(keyvault *handle, const char *target, kv_deadline deadline,
                         kv_role_tokens_done *done, void *context);
void kv_client_drop_token(keyvault *handle, kv_slice token);
/* Whether a new role token would help. */
bool kv_client_token_refused(const keyvault_error *err);
/* As kv_channel_start; refused once the handle is being closed. */
kv_status kv_client_send(void *context, const kv_channel_request *request, kv_channel_done *done,
                         void *done_context, kv_error *err);
