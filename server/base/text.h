/* text.h - the few spellings of bytes and times that every layer needs.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* Lower-case hexadecimal; `out` holds 2 * len + 1 bytes and is NUL-terminated. */
void kv_hex(kv_slice bytes, char *out);
/* Exactly 2 * len digits of either case; false otherwise. */
bool kv_unhex(kv_slice text, uint8_t *out, size_t len);

/* RFC 4648, section 5, without padding. */
kv_status kv_base64url(kv_arena *arena, kv_slice bytes, kv_slice *out, kv_error *err) KV_MUST_USE;
/* Strict: no padding, no white space, no stray bits. KV_BAD_REQUEST otherwise. */
kv_status kv_unbase64url(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err) KV_MUST_USE;

/* Case-insensitive for ASCII. */
bool kv_text_equal_nocase(kv_slice a, kv_slice b);
/* ASCII letters in lower case. */
kv_status kv_text_lower(kv_arena *arena, kv_slice text, kv_slice *out, kv_error *err) KV_MUST_USE;
/* True for well-formed UTF-8 without NUL and control characters. */
bool kv_text_printable(kv_slice text);
/* The character of UTF-8 with which the text begins; how many bytes it has, 0: none begins there.
 */
size_t kv_text_character(kv_slice text, uint32_t *out);
/* Whether a terminal would obey it, break the line or turn its direction, rather than show it: the
 * controls C0, DEL and C1, U+2028, U+2029, and Unicode's Bidi_Control. */
bool kv_text_steers(uint32_t character);
/* In place, for terminals: each character that steers becomes a space, each byte that is in no
 * well-formed character a question mark. Line ends and tabs steer too. */
void kv_text_clean(char *text);
/* In place: bytes that are in no well-formed character, such as the first half of one that was cut,
 * become question marks. */
void kv_text_mend(char *text);

/* Decimal, no sign, no white space, at most `max`. */
bool kv_text_number(kv_slice text, uint64_t max, uint64_t *out);

/* RFC 3339 in UTC with milliseconds ("2026-11-20T23:02:00.000Z"); `out` holds 32 bytes. */
enum { KV_TIME_TEXT_BYTES = 32 };
void kv_time_text(int64_t unix_ms, char out[KV_TIME_TEXT_BYTES]);

/* Random bytes from OpenSSL's generator, for identifiers. False when it fails. */
bool kv_random_id(uint8_t *out, size_t len) KV_MUST_USE;
