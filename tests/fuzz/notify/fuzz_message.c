/* fuzz_message.c - mail from texts that anybody chose: whatever goes in, the headers are ours. */
#include <stdlib.h>

#include "server/notify/message.h"

enum { MEMORY = 8 << 20, PARTS = 4, HEADERS = 10, LINE = 78 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Lines are short ASCII and end with CR LF, but for an address in a header, which cannot be folded
 * (RFC 5322, 2.1.1 allows 998); before the empty one stand exactly our headers. */
static void judge(kv_slice mail)
{
    size_t column = 0, headers = 0;
    bool body = false, address = false;

    for (size_t i = 0; i < mail.len; i++) {
        uint8_t c = mail.data[i];

        must(c < 0x80 && c != 0 && (c != '\r' || mail.data[i + 1] == '\n'));
        if (c == '\n') {
            must(i > 0 && mail.data[i - 1] == '\r');
            body = body || column == 0;
            column = 0;
            address = false;
            continue;
        }
        if (c == '\r')
            continue;
        if (!column && !body && c != ' ')
            headers++;
        address = address || (!body && c == '<');
        must(++column <= (address ? LINE + KV_LETTER_ADDRESS_MAX : LINE));
    }
    must(column == 0 && headers == HEADERS - 1);
}

/* name \n address \n subject \n text */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(MEMORY);
    kv_slice parts[PARTS] = { 0 };
    kv_letter mail = { .from = KV_SLICE("vault@example.org"),
                       .id = KV_SLICE("1"),
                       .domain = KV_SLICE("vault.example.org") };
    kv_error err = { 0 };
    kv_slice out;
    size_t part = 0, from = 0;

    for (size_t i = 0; i <= size && part < PARTS; i++) {
        if (i < size && (data[i] != '\n' || part + 1 == PARTS))
            continue;
        parts[part++] = kv_slice_of(data + from, i - from);
        from = i + 1;
    }
    mail.to_name = parts[0];
    mail.to = parts[1];
    mail.subject = parts[2];
    mail.text = parts[3];
    if (kv_letter_build(&arena, &mail, &out, &err) == KV_OK)
        judge(out);
    else
        must(err.status == KV_BAD_REQUEST || err.status == KV_BUSY);
    return 0;
}
