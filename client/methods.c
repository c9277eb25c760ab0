/* methods.c - the services, and which of their methods are special. */
#include "client/methods.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <grpc/health/v1/health.pb-c.h>
#include <keyvault/v1/access.pb-c.h>
#include <keyvault/v1/audit.pb-c.h>
#include <keyvault/v1/authorities.pb-c.h>
#include <keyvault/v1/certificates.pb-c.h>
#include <keyvault/v1/common.pb-c.h>
#include <keyvault/v1/contacts.pb-c.h>
#include <keyvault/v1/events.pb-c.h>
#include <keyvault/v1/issuers.pb-c.h>
#include <keyvault/v1/keys.pb-c.h>
#include <keyvault/v1/renewals.pb-c.h>
#include <keyvault/v1/secrets.pb-c.h>
#include <keyvault/v1/vaults.pb-c.h>
#include <keyvault/v1/webhooks.pb-c.h>

#include "server/base/compiler.h"

typedef struct service {
    const ProtobufCServiceDescriptor *type;
    const char *collection;
    bool whole_server;
    bool open;
} service;

/* shape: table */
static const service services[] = {
    { &grpc__health__v1__health__descriptor, NULL, true, true },
    { &keyvault__v1__vault_service__descriptor, NULL, false, false },
    { &keyvault__v1__certificate_service__descriptor, "certificates", false, false },
    { &keyvault__v1__certificate_authority_service__descriptor, NULL, false, false },
    { &keyvault__v1__issuer_service__descriptor, "certificates", false, false },
    { &keyvault__v1__contact_service__descriptor, "certificates", false, false },
    { &keyvault__v1__webhook_service__descriptor, NULL, false, false },
    { &keyvault__v1__renewal_service__descriptor, "certificates", false, false },
    { &keyvault__v1__key_service__descriptor, "keys", false, false },
    { &keyvault__v1__secret_service__descriptor, "secrets", false, false },
    { &keyvault__v1__event_service__descriptor, NULL, false, false },
    { &keyvault__v1__access_service__descriptor, NULL, true, false },
    { &keyvault__v1__audit_service__descriptor, NULL, false, false },
    { &keyvault__v1__server_service__descriptor, NULL, true, false },
};

typedef struct exception {
    const char *service;
    const char *method;
    bool streams;
    bool open;
    bool whole_server;
    bool asked_collection;
    const char *open_about;
} exception;

/* What a descriptor does not say: .proto comments do. */
/* shape: table */
static const exception exceptions[] = {
    { "grpc.health.v1.Health", "Watch", .streams = true, .open = true, .whole_server = true },
    { "keyvault.v1.VaultService", "CreateVault", .whole_server = true },
    { "keyvault.v1.VaultService", "RecoverVault", .whole_server = true },
    { "keyvault.v1.VaultService", "ListVaults", .whole_server = true },
    { "keyvault.v1.VaultService", "ListDeletedVaults", .whole_server = true },
    { "keyvault.v1.AccessService", "WhoAmI", .open = true, .whole_server = true },
    { "keyvault.v1.AccessService", "IssueRoleToken", .open = true, .whole_server = true },
    { "keyvault.v1.AccessService", "ListRoles", .open = true, .whole_server = true },
    { "keyvault.v1.AccessService", "ExplainAccess", .whole_server = true,
      .open_about = "principal_id" },
    { "keyvault.v1.EventService", "ListEvents", .asked_collection = true },
    { "keyvault.v1.EventService", "WatchEvents", .streams = true, .asked_collection = true },
    { "keyvault.v1.AuditService", "SearchAudit", .streams = true },
    { "keyvault.v1.AuditService", "ExportAudit", .streams = true, .whole_server = true },
    { "keyvault.v1.AuditService", "GetAuditStatus", .whole_server = true },
};

/* Methods that change nothing begin with one of these words; a test compares with what the server
 * says of them. */
static bool changes_nothing(const char *method)
{
    static const char *const words[] = {
        "Get",     "List",    "Search",  "Export", "WhoAmI",    "Sign",           "Verify",
        "Encrypt", "Decrypt", "WrapKey", "Check",  "UnwrapKey", "IssueRoleToken", "Explain",
        "WhoCan",  "Backup",  "Test",    "Watch",
    };

    for (size_t i = 0; i < KV_COUNT(words); i++)
        if (!strncmp(method, words[i], strlen(words[i])))
            return true;
    return false;
}

static void apply_exception(const char *service_name, const char *method_name, kv_method *out)
{
    for (size_t i = 0; i < KV_COUNT(exceptions); i++) {
        const exception *row = &exceptions[i];

        if (strcmp(row->service, service_name) != 0 || strcmp(row->method, method_name) != 0)
            continue;
        out->streams = row->streams;
        out->open = row->open;
        out->open_about = row->open_about;
        out->whole_server = row->whole_server;
        out->asked_collection = row->asked_collection;
    }
}

static bool find_in(const service *row, const char *method_name, kv_method *out)
{
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(row->type, method_name);

    if (!method)
        return false;
    *out = (kv_method){ .input = method->input,
                        .output = method->output,
                        .repeatable = changes_nothing(method->name),
                        .open = row->open,
                        .whole_server = row->whole_server,
                        .collection = row->collection };
    apply_exception(row->type->name, method->name, out);
    return true;
}

/* The row of a path and, behind the service, its method; NULL if there is none. */
static const service *row_of(const char *path, const char **method_name)
{
    const char *slash = path && *path == '/' ? strchr(path + 1, '/') : NULL;
    size_t len = slash ? (size_t)(slash - path - 1) : 0;

    for (size_t i = 0; slash && i < KV_COUNT(services); i++) {
        if (strlen(services[i].type->name) != len ||
            strncmp(services[i].type->name, path + 1, len) != 0)
            continue;
        *method_name = slash + 1;
        return &services[i];
    }
    return NULL;
}

const ProtobufCServiceDescriptor *kv_service_find(const char *path)
{
    const char *ignored;
    const service *row = row_of(path, &ignored);

    return row ? row->type : NULL;
}

bool kv_method_find(const char *path, kv_method *out)
{
    const char *method_name = NULL;
    const service *row = row_of(path, &method_name);

    return row && find_in(row, method_name, out);
}

/* Whether the member of a oneof is the one that is set. */
static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint32_t which;

    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return true;
    memcpy(&which, (const char *)message + field->quantifier_offset, sizeof(which));
    return which == field->id;
}

const char *kv_message_text(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    const char *text;

    if (!field || field->type != PROTOBUF_C_TYPE_STRING ||
        field->label == PROTOBUF_C_LABEL_REPEATED || !is_set(message, field))
        return "";
    memcpy(&text, (const char *)message + field->offset, sizeof(text));
    return text ? text : "";
}

bool kv_method_scope(const kv_method *method, const ProtobufCMessage *request,
                     char out[KV_SCOPE_BYTES])
{
    const char *vault = method->whole_server ? "" : kv_message_text(request, "vault");
    const char *collection = method->collection ? method->collection : "";
    const char *name;
    int len;

    if (method->asked_collection)
        collection = kv_message_text(request, "collection");
    name = *collection ? kv_message_text(request, "name") : "";

    if (!*vault)
        len = snprintf(out, KV_SCOPE_BYTES, "/");
    else
        len = snprintf(out, KV_SCOPE_BYTES, "/vaults/%s%s%s%s%s", vault, *collection ? "/" : "",
                       collection, *name ? "/" : "", name);
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return len >= 0 && len < KV_SCOPE_BYTES;
}

bool kv_method_open(const kv_method *method, const ProtobufCMessage *request)
{
    return method->open || (method->open_about && !*kv_message_text(request, method->open_about));
}
