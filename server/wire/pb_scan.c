/* pb_scan.c - the form of a protobuf message, checked on its bytes before anything is decoded.
 *
 * protobuf-c allocates for whatever the bytes ask for, takes any number for an enum, any bytes for
 * text and any list as long as it likes. So the bytes are walked first, with the descriptors as the
 * rule, an explicit stack for the nesting and no allocation.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/wire/pb_impl.h"

enum {
    DEPTH_MAX = 8,
    FIELDS_MAX = 16, /* of one message; more than any request has */
    UNKNOWN_MAX = 64,
    LIST_MAX = 16, /* of a repeated field that is not in bounds[] */
    TEXT_MAX = 4096,
    ID_TOKEN_MAX = 16 * 1024 /* groups make it long */
};

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

static const struct {
    const char *field;
    unsigned most;
} bounds[] = {
    { "dns_names", 100 },     { "ekus", 20 },        { "emails", 100 },
    { "ip_addresses", 100 },  { "ip_ranges", 100 },  { "directory_names", 100 },
    { "items", KV_TAGS_MAX }, { "roles", 8 },        { "tags", KV_TAGS_MAX },
    { "upns", 100 },          { "uris", 100 },       { "lifetime_actions", 2 },
    { "rules", 100 },         { "principals", 64 },  { "admin_details", 8 },
    { "contacts", 50 },       { "event_types", 32 },
};

typedef struct frame {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *at;
    const uint8_t *end;
    const ProtobufCFieldDescriptor *field; /* the one being looked at */
    unsigned seen[FIELDS_MAX];             /* how often, by the field's index */
} frame;

typedef struct scanner {
    frame frames[DEPTH_MAX];
    size_t depth;
    unsigned unknown;
    kv_error *err;
} scanner;

/* One field as it stands in the bytes. */
typedef struct piece {
    uint32_t number;
    unsigned wire;
    uint64_t varint;
    kv_slice bytes;
} piece;

static bool repeated(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

/* "policy.lifetime_actions[1].trigger", cut when it is longer than an error holds. */
static kv_status refuse(const scanner *s, const char *rule)
{
    char path[sizeof(s->err->field)] = "";
    size_t len = 0;

    for (size_t i = 0; i < s->depth && len < sizeof(path); i++) {
        const frame *f = &s->frames[i];
        unsigned index;
        int more;

        if (!f->field)
            break;
        more = snprintf(path + len, sizeof(path) - len, "%s%s", i ? "." : "", f->field->name);
        len += (size_t)more;
        index = f->seen[f->field - f->type->fields];
        if (repeated(f->field) && index && len < sizeof(path)) {
            more = snprintf(path + len, sizeof(path) - len, "[%u]", index - 1);
            len += (size_t)more;
        }
    }
    return kv_fail_field(s->err, path, "%s", rule);
}

static kv_status malformed(const scanner *s)
{
    return refuse(s, "the message is not well-formed protobuf");
}

static bool take_varint(frame *f, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && f->at < f->end; shift += 7) {
        uint8_t byte = *f->at++;

        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(frame *f, uint64_t len, kv_slice *out)
{
    if (len > (size_t)(f->end - f->at))
        return false;
    *out = kv_slice_of(f->at, (size_t)len);
    f->at += len;
    return true;
}

static bool take_piece(frame *f, piece *out)
{
    uint64_t key, len;

    if (!take_varint(f, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return false;
    out->number = (uint32_t)(key >> 3);
    out->wire = (unsigned)(key & 7);
    switch (out->wire) {
    case WIRE_VARINT:
        return take_varint(f, &out->varint);
    case WIRE_64BIT:
        return take_bytes(f, 8, &out->bytes);
    case WIRE_BYTES:
        return take_varint(f, &len) && take_bytes(f, len, &out->bytes);
    case WIRE_32BIT:
        return take_bytes(f, 4, &out->bytes);
    default:
        return false; /* groups are not part of proto3 */
    }
}

static unsigned wire_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64BIT;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
    default:
        return WIRE_VARINT;
    }
}

static unsigned bound_of(const ProtobufCFieldDescriptor *field)
{
    if (!repeated(field))
        return 1;
    for (size_t i = 0; i < KV_COUNT(bounds); i++)
        if (!strcmp(bounds[i].field, field->name))
            return bounds[i].most;
    return LIST_MAX;
}

/* Counts the field; refuses the second one of a oneof, and one too many. */
static kv_status count(scanner *s, frame *f)
{
    const ProtobufCFieldDescriptor *field = f->field;
    unsigned *seen = &f->seen[field - f->type->fields];
    unsigned most = bound_of(field);

    if (++*seen > most) {
        char rule[48];

        *seen = 0; /* the path names the list, not an item */
        (void)snprintf(rule, sizeof(rule), "at most %u %s", most,
                       most == 1 ? "may be given" : "items");
        return refuse(s, rule);
    }
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return KV_OK;
    for (unsigned i = 0; i < f->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *other = &f->type->fields[i];

        if (other != field && f->seen[i] && (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            other->quantifier_offset == field->quantifier_offset)
            return refuse(s, "another choice of the same oneof is given too");
    }
    return KV_OK;
}

static kv_status check_enum(scanner *s, frame *f, uint64_t number)
{
    const ProtobufCEnumDescriptor *type = f->field->descriptor;

    /* "Unspecified" says nothing in a list. */
    if (number > INT32_MAX || (number == 0 && repeated(f->field)) ||
        !protobuf_c_enum_descriptor_get_value(type, (int)number))
        return refuse(s, "the enum has no such value");
    return KV_OK;
}

/* A repeated scalar may come packed: its numbers one after the other. */
static kv_status check_packed(scanner *s, frame *f, kv_slice bytes)
{
    frame packed = { .at = bytes.data, .end = bytes.data + bytes.len };
    uint64_t number;

    for (bool first = true; packed.at < packed.end; first = false) {
        if (!take_varint(&packed, &number))
            return malformed(s);
        if (!first)
            KV_TRY(count(s, f));
        if (f->field->type == PROTOBUF_C_TYPE_ENUM)
            KV_TRY(check_enum(s, f, number));
    }
    return KV_OK;
}

static kv_status enter(scanner *s, const ProtobufCMessageDescriptor *type, kv_slice bytes)
{
    if (s->depth == DEPTH_MAX || type->n_fields > FIELDS_MAX)
        return kv_fail(s->err, KV_INTERNAL, "%s is larger than a request may be", type->name);
    s->frames[s->depth++] = (frame){ .type = type,
                                     .at = bytes.data,
                                     .end = bytes.data ? bytes.data + bytes.len : NULL };
    return KV_OK;
}

static kv_status check_value(scanner *s, frame *f, const piece *p)
{
    const ProtobufCFieldDescriptor *field = f->field;
    unsigned wire = wire_of(field);

    if (p->wire != wire) {
        if (repeated(field) && p->wire == WIRE_BYTES && wire == WIRE_VARINT)
            return check_packed(s, f, p->bytes);
        return refuse(s, "the field has another type");
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return check_enum(s, f, p->varint);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        if (p->bytes.len > (strcmp(field->name, "id_token") ? TEXT_MAX : ID_TOKEN_MAX))
            return refuse(s, "the text is too long");
        if (!kv_text_printable(p->bytes))
            return refuse(s, "must be UTF-8 text without control characters");
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return enter(s, field->descriptor, p->bytes);
    return KV_OK;
}

static kv_status scan_piece(scanner *s, frame *f)
{
    piece p = { 0 };

    f->field = NULL;
    if (!take_piece(f, &p))
        return malformed(s);
    f->field = protobuf_c_message_descriptor_get_field(f->type, p.number);
    if (!f->field) {
        /* A newer client's field: ignored, but not endlessly. */
        if (++s->unknown > UNKNOWN_MAX)
            return kv_fail(s->err, KV_BAD_REQUEST,
                           "too many fields that this server does not know");
        return KV_OK;
    }
    KV_TRY(count(s, f));
    return check_value(s, f, &p);
}

kv_status kv_pb_scan(const ProtobufCMessageDescriptor *type, kv_slice body, kv_error *err)
{
    scanner s;

    s.depth = 0;
    s.unknown = 0;
    s.err = err;
    if (body.len > KV_PB_MESSAGE_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a message is at most %d bytes long",
                       KV_PB_MESSAGE_MAX);
    KV_TRY(enter(&s, type, body));
    while (s.depth) {
        frame *f = &s.frames[s.depth - 1];

        if (f->at == f->end)
            s.depth--;
        else
            KV_TRY(scan_piece(&s, f));
    }
    return KV_OK;
}
