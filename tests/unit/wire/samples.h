/* samples.h - a valid message of any request type, as bytes, and the same with one thing wrong.
 *
 * Made from the descriptors alone, so a new request is tested the day it is written.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "server/base/arena.h"
#include "server/base/slice.h"

typedef enum kv_flaw {
    KV_FLAW_NONE,
    KV_FLAW_NOT_UTF8,     /* text with a stray continuation byte */
    KV_FLAW_CONTROL,      /* text with a NUL byte */
    KV_FLAW_UNKNOWN_ENUM, /* a number the enum has not */
    KV_FLAW_TWICE,        /* a field that is not repeated, two times */
    KV_FLAW_TOO_MANY,     /* 10,000 items of a repeated field */
    KV_FLAW_OTHER_TYPE,   /* another wire type */
    KV_FLAW_COUNT
} kv_flaw;

typedef struct kv_sample {
    const ProtobufCMessageDescriptor *type;
    kv_flaw flaw;
    unsigned at; /* the flaw is in the field that comes as number `at`, depth first */
    /* Told by kv_sample_make: */
    unsigned fields; /* how many fields the message has in all */
    bool flawed;     /* false: that field cannot have this flaw */
    char path[64];   /* of the flawed field, as an error spells it */
} kv_sample;

/* The bytes are in the arena, which must have room for 2 MiB. */
kv_slice kv_sample_make(kv_sample *sample, kv_arena *arena);
