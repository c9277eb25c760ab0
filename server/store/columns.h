/* columns.h - how tables*.c write a column of a row's struct: it is named like its member.
 * Internal to them. */
#pragma once

#include "server/store/schema.h"

#include "server/base/compiler.h"

#define INTEGER(row, member)                              \
    {                                                     \
#member, KV_COLUMN_INTEGER, offsetof(row, member) \
    }
#define TEXT(row, member)                              \
    {                                                  \
#member, KV_COLUMN_TEXT, offsetof(row, member) \
    }
#define BLOB(row, member)                              \
    {                                                  \
#member, KV_COLUMN_BLOB, offsetof(row, member) \
    }
