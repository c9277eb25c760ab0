/* message.c - a mail message as bytes. */
#include "server/notify/message.h"

#include <stdio.h>
#include <time.h>

#include <openssl/evp.h>

#include "server/base/text.h"
#include "server/notify/text_sink.h"

enum {
    LINE_MOST = 76,
    PLAIN_MOST = 60, /* a header's text that needs no folding */
    WORD_BYTES = 42, /* of UTF-8 in one encoded word: 56 of base64, 68 with its frame */
    BASE64_LINE = 57,
    DOMAIN_MAX = 255,
    LABEL_MAX = 63
};

/* Neither quoted-printable nor base64 ever has "=_". */
#define BOUNDARY "=_keyvault"

static const char hex[] = "0123456789ABCDEF";

/* --- addresses --- */

static bool is_letter_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_atom(uint8_t c)
{
    return is_letter_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_local(kv_slice text)
{
    if (!text.len || text.len > KV_LETTER_LOCAL_MAX || text.data[0] == '.' ||
        text.data[text.len - 1] == '.')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_atom(text.data[i]) && (text.data[i] != '.' || text.data[i - 1] == '.'))
            return false;
    return true;
}

static bool is_domain(kv_slice text)
{
    size_t label = 0;

    if (!text.len || text.len > DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool last = i + 1 == text.len || text.data[i + 1] == '.';

        if (c == '.') {
            if (!label || last)
                return false;
            label = 0;
            continue;
        }
        label++;
        if ((!is_letter_digit(c) && c != '-') || (c == '-' && (label == 1 || last)) ||
            label > LABEL_MAX)
            return false;
    }
    return true;
}

kv_status kv_mail_address_check(kv_slice address, const char *field, kv_error *err)
{
    const uint8_t *at = NULL;

    for (size_t i = address.len; i > 0 && !at; i--)
        if (address.data[i - 1] == '@')
            at = address.data + i - 1;
    if (!at || address.len > KV_LETTER_ADDRESS_MAX ||
        !is_local(kv_slice_of(address.data, (size_t)(at - address.data))) ||
        !is_domain(kv_slice_of(at + 1, address.len - (size_t)(at - address.data) - 1)))
        return kv_fail_field(err, field,
                             "must be a mail address such as team@example.org: ASCII, at most %d "
                             "bytes, without name and quotes",
                             KV_LETTER_ADDRESS_MAX);
    return KV_OK;
}

/* --- headers --- */

/* It can stand as it is, short enough for one line even when what ends a quoted string is escaped.
 */
static bool is_plain(kv_slice text)
{
    size_t escapes = 0;

    if (text.len > PLAIN_MOST)
        return false;
    for (size_t i = 0; i < text.len; i++)
        escapes += text.data[i] == '"' || text.data[i] == '\\';
    if (text.len + escapes > PLAIN_MOST)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] > '~' ||
            (text.data[i] == '=' && i + 1 < text.len && text.data[i + 1] == '?'))
            return false;
    return !text.len || (text.data[0] != ' ' && text.data[text.len - 1] != ' ');
}

static void add_base64(kv_text_sink *out, const uint8_t *bytes, size_t len)
{
    unsigned char text[4 * ((BASE64_LINE + 2) / 3) + 1];
    int written = EVP_EncodeBlock(text, bytes, (int)len);

    kv_sink_bytes(out, text, (size_t)written);
}

/* Where the next character of UTF-8 begins, at most `most` bytes on. */
static size_t whole_characters(kv_slice text, size_t from, size_t most)
{
    size_t end = text.len - from < most ? text.len : from + most;

    while (end < text.len && end > from && (text.data[end] & 0xC0) == 0x80)
        end--;
    return end;
}

/* Encoded words, one to a line. */
static void add_words(kv_text_sink *out, kv_slice text)
{
    for (size_t at = 0; at < text.len;) {
        size_t end = whole_characters(text, at, WORD_BYTES);

        kv_sink_text(out, at ? "\r\n =?utf-8?B?" : "=?utf-8?B?");
        add_base64(out, text.data + at, end - at);
        kv_sink_text(out, "?=");
        at = end;
    }
}

static void add_mailbox(kv_text_sink *out, const char *header, kv_slice name, kv_slice address)
{
    kv_sink_text(out, header);
    if (name.len && is_plain(name)) {
        kv_sink_byte(out, '"');
        for (size_t i = 0; i < name.len; i++) {
            if (name.data[i] == '"' || name.data[i] == '\\')
                kv_sink_byte(out, '\\');
            kv_sink_byte(out, (char)name.data[i]);
        }
        kv_sink_byte(out, '"');
    } else if (name.len) {
        add_words(out, name);
    }
    kv_sink_text(out, name.len ? "\r\n <" : "<");
    kv_sink_slice(out, address);
    kv_sink_text(out, ">\r\n");
}

static void add_subject(kv_text_sink *out, kv_slice subject)
{
    kv_sink_text(out, "Subject: ");
    if (is_plain(subject))
        kv_sink_slice(out, subject);
    else
        add_words(out,
                  kv_slice_of(subject.data, whole_characters(subject, 0, KV_LETTER_SUBJECT_MAX)));
    kv_sink_text(out, "\r\n");
}

/* "Sat, 21 Nov 2026 09:00:00 +0000", whatever the locale. */
static void add_date(kv_text_sink *out, int64_t date_ms)
{
    static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(date_ms / 1000);
    struct tm at = { 0 };
    char text[64];

    (void)gmtime_r(&seconds, &at);
    (void)snprintf(text, sizeof(text), "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n",
                   days[at.tm_wday], at.tm_mday, months[at.tm_mon], at.tm_year + 1900, at.tm_hour,
                   at.tm_min, at.tm_sec);
    kv_sink_text(out, text);
}

static void add_headers(kv_text_sink *out, const kv_letter *mail)
{
    add_mailbox(out, "From: ", mail->from_name, mail->from);
    add_mailbox(out, "To: ", mail->to_name, mail->to);
    add_subject(out, mail->subject);
    add_date(out, mail->date_ms);
    kv_sink_text(out, "Message-ID: <");
    kv_sink_slice(out, mail->id);
    kv_sink_byte(out, '@');
    kv_sink_slice(out, mail->domain);
    kv_sink_text(out, ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
}

/* --- bodies --- */

/* Does the byte stand for itself? A blank at the end of a line does not, nor does a dot or the F
 * of "From" at its beginning, which some servers read. */
static bool stands(kv_slice text, size_t at, size_t column)
{
    uint8_t c = text.data[at];
    bool ends = at + 1 == text.len || text.data[at + 1] == '\n';

    if (c == ' ' || c == '\t')
        return !ends;
    if (!column && (c == '.' || c == 'F'))
        return false;
    return c > ' ' && c <= '~' && c != '=';
}

static void add_quoted(kv_text_sink *out, kv_slice text)
{
    size_t column = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool plain = c != '\n' && stands(text, i, column);

        if (c == '\n') {
            kv_sink_text(out, "\r\n");
            column = 0;
            continue;
        }
        if (column + (plain ? 1 : 3) > LINE_MOST - 1) {
            kv_sink_text(out, "=\r\n");
            column = 0;
            plain = stands(text, i, column);
        }
        if (plain) {
            kv_sink_byte(out, (char)c);
        } else {
            kv_sink_byte(out, '=');
            kv_sink_byte(out, hex[c >> 4]);
            kv_sink_byte(out, hex[c & 15]);
        }
        column += plain ? 1 : 3;
    }
    if (column)
        kv_sink_text(out, "\r\n");
}

static void add_text(kv_text_sink *out, kv_slice text)
{
    kv_sink_text(out, "Content-Type: text/plain; charset=utf-8\r\n"
                      "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    add_quoted(out, text);
}

static void add_attachment(kv_text_sink *out, const kv_letter_attachment *from)
{
    kv_sink_text(out, "Content-Type: ");
    kv_sink_slice(out, from->type);
    kv_sink_text(out, "\r\nContent-Transfer-Encoding: base64\r\n"
                      "Content-Disposition: attachment;\r\n filename=\"");
    kv_sink_slice(out, from->name);
    kv_sink_text(out, "\"\r\n\r\n");
    for (size_t at = 0; at < from->body.len; at += BASE64_LINE) {
        size_t len = from->body.len - at < BASE64_LINE ? from->body.len - at : BASE64_LINE;

        add_base64(out, from->body.data + at, len);
        kv_sink_text(out, "\r\n");
    }
}

/* --- the whole --- */

static bool of_these(kv_slice text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_letter_digit(text.data[i]) && (!text.data[i] || !strchr(others, text.data[i])))
            return false;
    return text.len > 0;
}

static kv_status check_one_line(kv_slice text, size_t most, const char *field, kv_error *err)
{
    if (!kv_text_printable(text))
        return kv_fail_field(err, field, "must be UTF-8 without control characters");
    if (text.len > most)
        return kv_fail_field(err, field, "has at most %zu bytes", most);
    return KV_OK;
}

static kv_status check_text(kv_slice text, kv_error *err)
{
    size_t from = 0;

    if (text.len > KV_LETTER_TEXT_MAX)
        return kv_fail_field(err, "text", "has at most %d bytes", KV_LETTER_TEXT_MAX);
    for (size_t i = 0; text.len > 0 && i <= text.len; i++) {
        if (i < text.len && text.data[i] != '\n')
            continue;
        if (!kv_text_printable(kv_slice_of(text.data + from, i - from)))
            return kv_fail_field(err, "text", "must be UTF-8 without control characters");
        from = i + 1;
    }
    return KV_OK;
}

static kv_status check(const kv_letter *mail, kv_error *err)
{
    const kv_letter_attachment *attachment = mail->attachment;

    KV_TRY(kv_mail_address_check(mail->from, "from", err));
    KV_TRY(kv_mail_address_check(mail->to, "to", err));
    KV_TRY(check_one_line(mail->from_name, KV_LETTER_NAME_MAX, "from_name", err));
    KV_TRY(check_one_line(mail->to_name, KV_LETTER_NAME_MAX, "to_name", err));
    KV_TRY(check_one_line(mail->subject, SIZE_MAX, "subject", err));
    KV_TRY(check_text(mail->text, err));
    if (!of_these(mail->id, ".-") || mail->id.len > KV_LETTER_LOCAL_MAX || !is_domain(mail->domain))
        return kv_fail_field(err, "id", "must be plain text and a domain");
    if (attachment && (!of_these(attachment->name, "._-") || !of_these(attachment->type, "/.+-") ||
                       attachment->name.len > KV_LETTER_NAME_MAX + LABEL_MAX))
        return kv_fail_field(err, "attachment", "must have a plain name and type");
    return KV_OK;
}

kv_status kv_letter_build(kv_arena *arena, const kv_letter *mail, kv_slice *out, kv_error *err)
{
    kv_text_sink sink = { .arena = arena };

    KV_TRY(check(mail, err));
    add_headers(&sink, mail);
    if (!mail->attachment) {
        add_text(&sink, mail->text);
        return kv_sink_end(&sink, out, err);
    }
    kv_sink_text(&sink, "Content-Type: multipart/mixed; boundary=\"" BOUNDARY
                        "\"\r\n\r\n--" BOUNDARY "\r\n");
    add_text(&sink, mail->text);
    kv_sink_text(&sink, "\r\n--" BOUNDARY "\r\n");
    add_attachment(&sink, mail->attachment);
    kv_sink_text(&sink, "\r\n--" BOUNDARY "--\r\n");
    return kv_sink_end(&sink, out, err);
}
