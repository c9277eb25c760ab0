/* glyph.h - what of a text can be seen, and how much room it takes.
 *
 * libc knows; it has to be asked in a locale of UTF-8, which kv_glyph_begin() sets. In any other,
 * nothing but ASCII counts as something that can be seen.
 *
 * Threads: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/slice.h"

enum { KV_GLYPH_ESCAPE_BYTES = 11 }; /* with its end */

/* Before the first question; of the process: what characters are, not how numbers are written. */
void kv_glyph_begin(void);

/* Nothing would be shown where it stands: it joins, parts or marks others (zero-width space and
 * joiners, soft hyphen, tags, selectors of variations), or libc does not know it. Two texts that
 * differ in such characters alone look the same. */
bool kv_glyph_hidden(uint32_t character);
/* How such a character is told: "\u200b", "\U000e0041". */
void kv_glyph_escape(uint32_t character, char out[KV_GLYPH_ESCAPE_BYTES]);
/* Cells of a terminal that well-formed UTF-8 takes: 2 for an ideograph, none for an accent. */
size_t kv_glyph_cells(kv_slice text);
