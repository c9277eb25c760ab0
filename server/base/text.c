/* text.c - hexadecimal, base64url, case, numbers, times. */
#include "server/base/text.h"

#include <stdio.h>
#include <time.h>

#include <openssl/rand.h>

static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void kv_hex(kv_slice bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        out[2 * i] = digits[bytes.data[i] >> 4];
        out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    out[2 * bytes.len] = '\0';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool kv_unhex(kv_slice text, uint8_t *out, size_t len)
{
    if (text.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

kv_status kv_base64url(kv_arena *arena, kv_slice bytes, kv_slice *out, kv_error *err)
{
    char *text = kv_arena_alloc(arena, bytes.len / 3 * 4 + 5);
    size_t len = 0;

    if (!text)
        return kv_arena_full(err);
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        text[len++] = base64url_digits[group >> 18];
        text[len++] = base64url_digits[group >> 12 & 63];
        if (left > 1)
            text[len++] = base64url_digits[group >> 6 & 63];
        if (left > 2)
            text[len++] = base64url_digits[group & 63];
    }
    *out = kv_slice_of(text, len);
    return KV_OK;
}

static int base64url_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

kv_status kv_unbase64url(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err)
{
    uint8_t *bytes = kv_arena_alloc(arena, text.len / 4 * 3 + 3);
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;

    if (!bytes)
        return kv_arena_full(err);
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64url_digit(text.data[i]);

        if (digit < 0)
            return kv_fail(err, KV_BAD_REQUEST, "not base64url");
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[len++] = (uint8_t)(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    if (held >= 6 || bits)
        return kv_fail(err, KV_BAD_REQUEST, "not base64url");
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool kv_text_equal_nocase(kv_slice a, kv_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

kv_status kv_text_lower(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err)
{
    uint8_t *copy = kv_arena_alloc(arena, text.len + 1);

    if (!copy)
        return kv_arena_full(err);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = lower(text.data[i]);
    *out = kv_slice_of(copy, text.len);
    return KV_OK;
}

/* How many continuation bytes follow; -1 for a byte that starts nothing. */
static int utf8_tail(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if ((first & 0xf0) == 0xe0)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

/* Overlong forms, surrogates and values past U+10FFFF show in the second byte. */
static bool second_byte_fits(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second <= 0x9f;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second <= 0x8f;
    default:
        return true;
    }
}

size_t kv_text_character(kv_slice text, uint32_t *out)
{
    int tail = text.len ? utf8_tail(text.data[0]) : -1;
    uint32_t character;

    if (tail < 0 || (size_t)tail >= text.len ||
        (tail && !second_byte_fits(text.data[0], text.data[1])))
        return 0;
    character = tail ? text.data[0] & (0x3fU >> tail) : text.data[0];
    for (int i = 1; i <= tail; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (text.data[i] & 0x3fU);
    }
    *out = character;
    return 1 + (size_t)tail;
}

/* C0, DEL and C1. */
static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

bool kv_text_steers(uint32_t character)
{
    return is_control(character) || character == 0x061c || character == 0x200e ||
           character == 0x200f || (character >= 0x2028 && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

static kv_slice after(kv_slice text, size_t len)
{
    return kv_slice_of(text.data + len, text.len - len);
}

void kv_text_mend(char *text)
{
    uint32_t character;

    for (size_t left = strlen(text), len; left; left -= len) {
        len = kv_text_character(kv_slice_of(text, left), &character);
        if (!len) {
            *text = '?';
            len = 1;
        }
        text += len;
    }
}

void kv_text_clean(char *text)
{
    kv_slice rest = kv_slice_text(text);
    uint32_t character;

    while (rest.len) {
        size_t len = kv_text_character(rest, &character);
        const char *shown = !len ? "?" : kv_text_steers(character) ? " " : NULL;

        if (shown)
            *text++ = *shown;
        else
            for (size_t i = 0; i < len; i++)
                *text++ = (char)rest.data[i];
        rest = after(rest, len ? len : 1);
    }
    *text = '\0';
}

bool kv_text_printable(kv_slice text)
{
    uint32_t character;

    while (text.len) {
        size_t len = kv_text_character(text, &character);

        if (!len || is_control(character))
            return false;
        text = after(text, len);
    }
    return true;
}

bool kv_text_number(kv_slice text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (!text.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';

        if (digit > 9 || value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

void kv_time_text(int64_t unix_ms, char out[KV_TIME_TEXT_BYTES])
{
    int ms = (int)(unix_ms % 1000);
    time_t seconds = (time_t)(unix_ms / 1000);
    char date[KV_TIME_TEXT_BYTES - 6] = "";
    struct tm parts;

    /* Division rounds towards zero, time does not. */
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (gmtime_r(&seconds, &parts))
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out, KV_TIME_TEXT_BYTES, "%s.%03dZ", date, ms);
}

bool kv_random_id(uint8_t *out, size_t len)
{
    return len <= 4096 && RAND_bytes(out, (int)len) == 1;
}
