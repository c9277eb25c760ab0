/* glyph.c - wcwidth() and its family, and the few characters of which they say too little. */
#include "client/cli/glyph.h"

#include <locale.h>
#include <stdio.h>
#include <wchar.h>
#include <wctype.h>

#include "server/base/text.h"

typedef struct range {
    uint32_t first, last;
} range;

/* Of Unicode's Default_Ignorable_Code_Point: those that libc takes for letters, signs or accents.
 */
static const range blank[] = {
    { 0x00ad, 0x00ad }, /* soft hyphen */
    { 0x034f, 0x034f }, /* grapheme joiner */
    { 0x115f, 0x1160 }, /* fillers of Hangul */
    { 0x17b4, 0x17b5 }, /* vowels of Khmer that are not written */
    { 0x180b, 0x180f }, /* selectors of Mongolian */
    { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xffa0, 0xffa0 }, { 0xe0100, 0xe01ef },
};

void kv_glyph_begin(void)
{
    (void)setlocale(LC_CTYPE, "C.UTF-8");
}

bool kv_glyph_hidden(uint32_t character)
{
    wint_t wide = character;

    for (size_t i = 0; i < KV_COUNT(blank); i++)
        if (character >= blank[i].first && character <= blank[i].last)
            return true;
    if (!iswprint(wide))
        return true;
    /* Accents and the vowels of many scripts have no width either, and are seen. */
    return !wcwidth((wchar_t)character) && iswpunct(wide) && !iswctype(wide, wctype("combining"));
}

void kv_glyph_escape(uint32_t character, char out[KV_GLYPH_ESCAPE_BYTES])
{
    (void)snprintf(out, KV_GLYPH_ESCAPE_BYTES, character > 0xffff ? "\\U%08x" : "\\u%04x",
                   (unsigned)character);
}

size_t kv_glyph_cells(kv_slice text)
{
    size_t cells = 0;

    while (text.len) {
        uint32_t character = 0;
        size_t len = kv_text_character(text, &character);
        int width = len ? wcwidth((wchar_t)character) : 1;

        cells += width < 0 ? 1 : (size_t)width;
        text = kv_slice_of(text.data + (len ? len : 1), text.len - (len ? len : 1));
    }
    return cells;
}
