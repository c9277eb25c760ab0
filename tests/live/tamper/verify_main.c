/* verify_main.c - the standalone verifier over a folder of segments: no server, token or store.
 *
 * verify_log FOLDER KID SPKI-HEX [CHECKPOINT-HEX]
 *
 * Prints one line, "name=value ..."; ends with 0 for a sound log, 1 for a broken one, 2 when it
 * could not look.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit/verify.h"
#include "server/base/compiler.h"
#include "server/base/text.h"

enum { SPKI_BYTES = 512, CHECKPOINT_BYTES = 1024, BROKEN = 1, UNABLE = 2 };

static bool take_hex(const char *text, uint8_t *out, size_t size, kv_slice *bytes)
{
    size_t len = strlen(text) / 2;

    if (strlen(text) % 2 || len > size || !kv_unhex(kv_slice_text(text), out, len))
        return false;
    *bytes = kv_slice_of(out, len);
    return true;
}

/* "bad header" as one word. */
static void print_name(kv_audit_break broken)
{
    (void)fputs("broken=", stdout);
    for (const char *at = kv_audit_break_name(broken); *at; at++)
        (void)putchar(*at == ' ' ? '-' : *at);
}

static int show(const kv_audit_report *report)
{
    print_name(report->broken);
    (void)printf(
        " segment=%s offset=%" PRIu64 " sequence=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64
        " proved=%" PRIu64 " segments=%" PRIu64 " checkpoints=%" PRIu64 " what=%s\n",
        report->segment[0] ? report->segment : "-", report->offset, report->sequence, report->first,
        report->last, report->proved, report->segments, report->checkpoints, report->what);
    return report->broken == KV_AUDIT_SOUND ? EXIT_SUCCESS : BROKEN;
}

int main(int argc, char **argv)
{
    uint8_t spki[SPKI_BYTES];
    uint8_t checkpoint[CHECKPOINT_BYTES];
    kv_audit_key key = { 0 };
    kv_audit_verify_in in = { .keys = &key, .key_count = 1 };
    kv_audit_report report;
    kv_error err = { 0 };

    if (argc < 4 || argc > 5 || !take_hex(argv[3], spki, sizeof(spki), &key.spki) ||
        (argc == 5 && !take_hex(argv[4], checkpoint, sizeof(checkpoint), &in.expected))) {
        (void)fputs("usage: verify_log FOLDER KID SPKI-HEX [CHECKPOINT-HEX]\n", stderr);
        return UNABLE;
    }
    key.kid = kv_slice_text(argv[2]);
    if (kv_audit_verify_folder(argv[1], &in, &report, &err) != KV_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return UNABLE;
    }
    return show(&report);
}
