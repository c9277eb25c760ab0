/* client.c - a handle: opened from a configuration, closed when nothing uses it any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_private.h"
#include "server/front/grpc/memory.h"

#define DEFAULT_PORT "8443"

enum {
    HOST_BYTES = 256,
    PORT_BYTES = 8,
    ENDPOINT_BYTES = HOST_BYTES + PORT_BYTES + 3,
    DEFAULT_TIMEOUT_MS = 30000,
    DEFAULT_ATTEMPTS = 4
};

typedef struct endpoint {
    char host[HOST_BYTES];
    char port[PORT_BYTES];
} endpoint;

static bool take(char *out, size_t size, const char *from, size_t len)
{
    if (!len || len >= size)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* "host", "host:port", "[address]", "[address]:port", an IPv6 address without a port. */
static bool read_endpoint(const char *text, endpoint *out)
{
    const char *colon = strrchr(text, ':');
    const char *end = text + strlen(text);

    if (*text == '[') {
        const char *bracket = strchr(text, ']');

        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return false;
        colon = bracket[1] ? bracket + 1 : NULL;
        if (!take(out->host, sizeof(out->host), text + 1, (size_t)(bracket - text - 1)))
            return false;
    } else {
        if (colon && strchr(text, ':') != colon)
            colon = NULL;
        if (!take(out->host, sizeof(out->host), text, (size_t)((colon ? colon : end) - text)))
            return false;
    }
    if (!colon)
        return take(out->port, sizeof(out->port), DEFAULT_PORT, strlen(DEFAULT_PORT));
    return take(out->port, sizeof(out->port), colon + 1, (size_t)(end - colon - 1)) &&
           strspn(out->port, "0123456789") == strlen(out->port);
}

static int open_tokens(const keyvault_config *config, keyvault *handle, keyvault_error *err)
{
    const kv_role_tokens_config tokens = {
        .send = kv_client_send,
        .context = handle,
        .roles = config->roles,
        .role_count = config->role_count,
        .scope = config->scope,
        .seconds = config->role_token_seconds,
    };

    kv_error failed = { 0 };

    if (config->role_token && kv_secret_buf_copy(kv_slice_text(config->role_token),
                                                 &handle->role_token, &failed) != KV_OK)
        return kv_failure_of(err, &failed);
    return kv_role_tokens_new(&tokens, &handle->tokens, err);
}

/* Fills the list; how many there are, 0 for a text that is no list. */
static size_t read_endpoints(const char *text, endpoint list[KV_CHANNEL_ENDPOINTS])
{
    size_t count = 0;

    for (;;) {
        char one[ENDPOINT_BYTES];
        size_t len;

        text += strspn(text, " ");
        len = strcspn(text, ", ");
        if (count == KV_CHANNEL_ENDPOINTS || !take(one, sizeof(one), text, len) ||
            !read_endpoint(one, &list[count++]))
            return 0;
        text += len;
        text += strspn(text, " ");
        if (!*text)
            return count;
        if (*text++ != ',')
            return 0;
    }
}

static int open_channel(const keyvault_config *config, keyvault *handle, keyvault_error *err)
{
    kv_channel_endpoint others[KV_CHANNEL_ENDPOINTS];
    kv_channel_config channel = {
        .others = others,
        .server_name = config->server_name,
        .ca_path = config->ca_path,
        .cert_path = config->certificate_path,
        .key_path = config->key_path,
        .key = config->key,
    };
    endpoint list[KV_CHANNEL_ENDPOINTS];
    size_t count = config->endpoint ? read_endpoints(config->endpoint, list) : 0;
    kv_error failed = { 0 };

    if (!count)
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT,
                          "an endpoint is written host:port; at most %d, with commas between them",
                          (int)KV_CHANNEL_ENDPOINTS);
    if (!config->ca_path)
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT,
                          "the CA file that vouches for the server is needed");
    channel.host = list[0].host;
    channel.port = list[0].port;
    for (size_t i = 1; i < count; i++)
        others[channel.other_count++] = (kv_channel_endpoint){ list[i].host, list[i].port };
    handle->endpoints = (uint32_t)count;
    if (kv_channel_new(&channel, &handle->channel, &failed) != KV_OK)
        return kv_failure_of(err, &failed);
    return 0;
}

int keyvault_open(const keyvault_config *config, keyvault **out, keyvault_error *err)
{
    keyvault *handle = calloc(1, sizeof(*handle));
    int code;

    if (!handle)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    handle->timeout_ms = config->timeout_ms ? config->timeout_ms : DEFAULT_TIMEOUT_MS;
    handle->attempts = config->attempts ? config->attempts : DEFAULT_ATTEMPTS;
    handle->has_certificate = config->certificate_path != NULL;
    handle->has_role_token = config->role_token != NULL;
    code = open_channel(config, handle, err);
    if (!code)
        code = open_tokens(config, handle, err);
    if (code) {
        keyvault_close(handle);
        return code;
    }
    *out = handle;
    return 0;
}

void keyvault_close(keyvault *handle)
{
    if (!handle)
        return;
    atomic_store(&handle->closing, true);
    kv_channel_free(handle->channel);
    kv_role_tokens_free(handle->tokens);
    kv_secret_buf_cleanup(&handle->role_token);
    free(handle);
}

/* --- messages --- */

static void *allocate(void *unused, size_t size)
{
    (void)unused;
    return kv_wiping_malloc(size);
}

static void release(void *unused, void *memory)
{
    (void)unused;
    kv_wiping_free(memory);
}

ProtobufCAllocator kv_client_allocator(void)
{
    return (ProtobufCAllocator){ allocate, release, NULL };
}

void keyvault_message_free(void *message)
{
    ProtobufCAllocator wiping = kv_client_allocator();

    if (message)
        protobuf_c_message_free_unpacked(message, &wiping);
}

int kv_client_method(const char *path, const ProtobufCMessage *request, bool streams,
                     kv_method *out, keyvault_error *err)
{
    if (!kv_method_find(path, out))
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "there is no method %s", path ? path : "");
    if (out->streams != streams)
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "%s answers with %s", path,
                          out->streams ? "a stream" : "one message");
    if (!request || request->descriptor != out->input)
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "%s takes a %s", path, out->input->name);
    return 0;
}

int kv_client_pack(const ProtobufCMessage *request, kv_slice *out, keyvault_error *err)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *data = kv_wiping_malloc(len ? len : 1);

    if (!data)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    *out = kv_slice_of(data, protobuf_c_message_pack(request, data));
    return 0;
}

int kv_client_unpack(const ProtobufCMessageDescriptor *type, kv_slice bytes, ProtobufCMessage **out,
                     keyvault_error *err)
{
    ProtobufCAllocator wiping = kv_client_allocator();
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &wiping, bytes.len, bytes.data);

    if (!message)
        return kv_failure(err, KV_CODE_INTERNAL, "the server's answer is not a %s", type->name);
    *out = message;
    return 0;
}

kv_deadline kv_client_deadline(const keyvault *handle, const keyvault_options *options)
{
    uint32_t ms = options && options->timeout_ms ? options->timeout_ms : handle->timeout_ms;

    return kv_deadline_in_ms(ms);
}

bool kv_client_wants_token(const keyvault *handle, const kv_method *method, const char *path)
{
    static const char access[] = "/keyvault.v1.AccessService/";

    if (!handle->has_certificate)
        return false;
    /* A certificate that is nobody's says nothing by itself: then the given token does. */
    return !method->open || (handle->has_role_token && !strncmp(path, access, strlen(access)) &&
                             strcmp(path + strlen(access), "IssueRoleToken") != 0);
}

void kv_client_get_token(keyvault *handle, const char *target, kv_deadline deadline,
                         kv_role_tokens_done *done, void *context)
{
    keyvault_error err = { 0 };

    if (!handle->has_role_token) {
        kv_role_tokens_get(handle->tokens, target, deadline, done, context);
    } else if (!atomic_load(&handle->role_token_over)) {
        done(context, kv_secret_buf_slice(&handle->role_token), &err);
    } else {
        (void)kv_failure(&err, KV_CODE_UNAUTHENTICATED, "the given role token is good no more");
        (void)snprintf(err.reason, sizeof(err.reason), "%s",
                       kv_reason_name(KV_REASON_TOKEN_EXPIRED));
        done(context, KV_SLICE_NONE, &err);
    }
}

void kv_client_drop_token(keyvault *handle, kv_slice token)
{
    if (handle->has_role_token)
        atomic_store(&handle->role_token_over, true);
    else
        kv_role_tokens_drop(handle->tokens, token);
}

bool kv_client_token_refused(const keyvault_error *err)
{
    /* Invalid too: the server may have a new signer. */
    static const kv_reason reasons[] = { KV_REASON_TOKEN_EXPIRED, KV_REASON_TOKEN_REVOKED,
                                         KV_REASON_TOKEN_INVALID };

    for (size_t i = 0; i < KV_COUNT(reasons); i++)
        if (err->code == KV_CODE_UNAUTHENTICATED &&
            !strcmp(err->reason, kv_reason_name(reasons[i])))
            return true;
    return false;
}

kv_status kv_client_send(void *context, const kv_channel_request *request, kv_channel_done *done,
                         void *done_context, kv_error *err)
{
    keyvault *handle = context;

    if (atomic_load(&handle->closing))
        return kv_fail(err, KV_UNAVAILABLE, "the handle is being closed");
    return kv_channel_start(handle->channel, request, done, done_context, err);
}
