/* say.h - all that kvctl writes, but for its own help, completion and manual.
 *
 * What a server, a certificate, a stored name or a file put into a text is shown and does nothing:
 * it cannot move the cursor, colour or retitle the terminal, begin a line of its own, or turn the
 * direction of what is read. What a terminal would obey is written as kv_text_clean() says, and
 * what nobody would see as kv_glyph_escape() does: a name cannot look like another one.
 *
 * Threads: one. Errors of writing stay with the stream, for ferror().
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "server/base/compiler.h"
#include "server/base/slice.h"

/* As fprintf, but every text is cleaned; line ends and tabs are those of the format alone. Takes
 * %s, %d, %u, %lld, %llu and %zu, with `-`, width (in a terminal's cells), and for texts a
 * precision (in bytes). */
void kv_say(FILE *out, const char *format, ...) KV_PRINTF(2, 3);
void kv_say_args(FILE *out, const char *format, va_list args) KV_PRINTF(2, 0);

/* As "%s" for programs: what nobody would see stays, but on a terminal. */
void kv_say_field(FILE *out, kv_slice text);
/* Cells of a terminal that "%s" of it takes. */
int kv_say_width(const char *text);

/* As json_dumpf, with what a terminal would obey, and what nobody would see, as \uXXXX: it reads as
 * the same value. False for what cannot be JSON. */
bool kv_say_json(FILE *out, const json_t *value, size_t flags) KV_MUST_USE;

/* A value and a line end: on a terminal each of its lines cleaned, elsewhere as it is. */
void kv_say_value(FILE *out, kv_slice value);

/* Bytes as they are. False, and nothing written, for a terminal that would obey some of them: only
 * text with tabs and line ends goes there. */
bool kv_say_bytes(FILE *out, kv_slice bytes) KV_MUST_USE;
