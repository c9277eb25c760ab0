/* render.h - answers for people and programs: json, table, tsv, csv.
 *
 * A table's columns are written "NAME=path NAME=path:form": the path goes through JSON names, the
 * form is `time` (seconds), `ms` (milliseconds), `hex` (of base64), or a prefix in capitals that is
 * cut off a name which is then told in lower case ("role:ROLE_" gives "crypto-user").
 *
 * CSV is that of RFC 4180, with a head. What a spreadsheet would take for a formula (it begins with
 * one of = + - @) has a ' before it, as spreadsheets themselves write text.
 *
 * Threads: one; pure but for what is written.
 */
#pragma once

#include <stdio.h>

#include <jansson.h>

#include "client/cli/config.h"

/* An object or an array of objects. `columns` NULL: all that is plain. */
void kv_render(FILE *out, kv_output output, const char *columns, const json_t *value);
/* The value at a dotted path ("id.name", "0.id"); NULL if there is none. */
const json_t *kv_json_at(const json_t *value, const char *path);
