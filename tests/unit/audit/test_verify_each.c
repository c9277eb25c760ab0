/* test_verify_each.c - each way to tamper, at each record. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/audit/sample_log.h"

/* The first `keep` frames, then those of `order`, then the rest from `rest` on. */
static kv_audit_report verify_order(sample_log *log, unsigned keep, const unsigned *order,
                                    unsigned count, unsigned rest)
{
    size_t len = log->len;
    uint8_t *bytes = malloc(len);
    unsigned all[SAMPLE_FRAMES];
    unsigned many = 0;
    kv_audit_report report;

    memcpy(bytes, log->bytes, len);
    while (many < keep) {
        all[many] = many;
        many++;
    }
    for (unsigned i = 0; i < count; i++)
        all[many++] = order[i];
    while (rest < log->count)
        all[many++] = rest++;
    sample_log_arrange(log, all, many);
    report = sample_log_verify(log);
    free(log->bytes);
    log->bytes = bytes;
    log->len = len;
    return report;
}

static kv_audit_report verify_cut(sample_log *log, size_t len, kv_slice expected)
{
    size_t whole = log->len;

    log->len = len;
    world_write(&log->world, SAMPLE_SEGMENT, log->bytes, log->len);
    log->len = whole;
    return world_verify(&log->world, expected);
}

static void assert_found(const char *what, const kv_audit_report *report, uint64_t sequence,
                         uint64_t last)
{
    if (!report->broken || report->last != last)
        fail_msg("record %llu %s: %s, last %llu", (unsigned long long)sequence, what,
                 kv_audit_break_name(report->broken), (unsigned long long)report->last);
}

/* Changed, deleted, swapped with the next, repeated, cut off: the log is good up to there. The last
 * record of all can be taken away when nothing that is known from elsewhere tells of it. */
static void each_way_is_found_at_each_record(void **state)
{
    sample_log *log = *state;
    kv_slice anchor = kv_slice_of(log->world.anchor, log->world.anchor_len);

    for (unsigned i = 0; i < log->count; i++) {
        const world_frame *frame = &log->frames[i];
        uint64_t sequence = frame->sequence;
        kv_audit_report report;

        if (frame->checkpoint)
            continue;
        log->bytes[frame->offset + 40] ^= 1;
        world_fix_crc(log->bytes + frame->offset, frame->bytes);
        report = sample_log_verify(log);
        assert_found("changed", &report, sequence, sequence - 1);
        log->bytes[frame->offset + 40] ^= 1;
        world_fix_crc(log->bytes + frame->offset, frame->bytes);

        report = verify_order(log, i, (unsigned[]){ i, i }, 2, i + 1);
        assert_found("repeated", &report, sequence, sequence);
        report = verify_cut(log, frame->offset + 30, KV_SLICE_NONE);
        assert_found("cut off inside", &report, sequence, sequence - 1);
        if (sequence <= SAMPLE_PROVED) {
            report = verify_cut(log, frame->offset, anchor);
            assert_found("cut off", &report, sequence, sequence - 1);
        }
        if (i + 1 == log->count)
            continue;
        report = verify_order(log, i, NULL, 0, i + 1);
        assert_found("deleted", &report, sequence, sequence - 1);
        report = verify_order(log, i, (unsigned[]){ i + 1, i }, 2, i + 2);
        assert_found("swapped", &report, sequence, sequence - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_way_is_found_at_each_record, sample_log_open,
                                        sample_log_close),
    };

    return cmocka_run_group_tests_name("verify_each", tests, NULL, NULL);
}
