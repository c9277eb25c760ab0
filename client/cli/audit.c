/* audit.c - search, export and status; verify, live or from files, with nothing but a public key.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/audit_files.h"
#include "client/cli/render.h"
#include "client/cli/say.h"
#include "server/base/clock.h"
#include "server/base/text.h"

#define AUDIT "/keyvault.v1.AuditService/"

enum { MS = 1000, DEFAULT_SINCE_S = 86400, PATH_BYTES = 4096 };

/* --- search --- */

static kv_exit find_range(kv_cli *cli, Keyvault__V1__SearchAuditRequest *request)
{
    const char *from = kv_cli_given(cli, "from");
    const char *to = kv_cli_given(cli, "to");
    const char *since = kv_cli_given(cli, "since");
    int64_t now = kv_clock_now_ms(NULL);
    int64_t seconds = DEFAULT_SINCE_S;
    kv_error err = { 0 };

    if (since && !kv_cli_duration(since, &seconds))
        return kv_cli_usage(cli, "--since is a number with s, m, h or d: 15m");
    if (from && since)
        return kv_cli_usage(cli, "give --from or --since, not both");
    request->from_ms = now - seconds * MS;
    request->to_ms = now + MS;
    if (from && kv_cli_time(from, &request->from_ms, &err) != KV_OK)
        return kv_cli_usage(cli, "--from %s", err.message);
    if (from)
        request->from_ms *= MS;
    if (to && kv_cli_time(to, &request->to_ms, &err) != KV_OK)
        return kv_cli_usage(cli, "--to %s", err.message);
    if (to)
        request->to_ms *= MS;
    return KV_EXIT_OK;
}

static kv_exit collect(kv_cli *cli, keyvault_stream *stream, json_t *all)
{
    for (;;) {
        ProtobufCMessage *record;
        keyvault_error err = { 0 };

        if (keyvault_stream_next(stream, &record, &err))
            return kv_cli_fail(cli, &err);
        if (!record)
            return KV_EXIT_OK;
        (void)json_array_append_new(all, kv_message_json(record));
        keyvault_message_free(record);
    }
}

kv_exit kv_cli_audit_search(kv_cli *cli)
{
    Keyvault__V1__SearchAuditRequest *request = NULL;
    keyvault_stream *stream = NULL;
    keyvault_error err = { 0 };
    json_t *all;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&request);

    if (told != KV_EXIT_OK)
        return told;
    told = find_range(cli, request);
    if (told == KV_EXIT_OK)
        told = kv_cli_open(cli);
    if (told == KV_EXIT_OK && keyvault_stream_open(cli->handle, cli->args.verb->path,
                                                   &request->base, NULL, &stream, &err))
        told = kv_cli_fail(cli, &err);
    keyvault_message_free(request);
    if (told != KV_EXIT_OK)
        return told;
    all = json_array();
    told = collect(cli, stream, all);
    keyvault_stream_close(stream);
    if (told == KV_EXIT_OK)
        return kv_cli_print(cli, all);
    json_decref(all);
    return told;
}

/* --- status and export --- */

kv_exit kv_cli_audit_status(kv_cli *cli)
{
    const char *file = kv_cli_given(cli, "public-key");
    Keyvault__V1__AuditStatus *status = NULL;
    kv_exit told = kv_cli_audit_ask_status(cli, &status);

    if (told != KV_EXIT_OK)
        return told;
    if (file)
        told = kv_cli_write_audit_key(cli, file, status);
    if (told == KV_EXIT_OK)
        return kv_cli_show(cli, &status->base);
    keyvault_message_free(status);
    return told;
}

static kv_exit read_sequence(kv_cli *cli, const char *option, uint64_t *out)
{
    const char *text = kv_cli_given(cli, option);

    *out = 0;
    if (text && !kv_text_number(kv_slice_text(text), UINT64_MAX, out))
        return kv_cli_usage(cli, "--%s is the number of a record", option);
    return KV_EXIT_OK;
}

kv_exit kv_cli_audit_export(kv_cli *cli)
{
    const char *folder = kv_cli_given(cli, "folder");
    const char *key = kv_cli_given(cli, "public-key");
    Keyvault__V1__AuditStatus *status = NULL;
    uint64_t first, last;
    size_t segments = 0;
    kv_exit told = read_sequence(cli, "first", &first);

    if (told == KV_EXIT_OK)
        told = read_sequence(cli, "last", &last);
    if (told == KV_EXIT_OK)
        told = kv_cli_export_segments(cli, folder, first, last, &segments);
    if (told == KV_EXIT_OK && key)
        told = kv_cli_audit_ask_status(cli, &status);
    if (told == KV_EXIT_OK && key)
        told = kv_cli_write_audit_key(cli, key, status);
    keyvault_message_free(status);
    if (told != KV_EXIT_OK)
        return told;
    return kv_cli_print(cli, json_pack("{s:s, s:i}", "folder", folder, "segments", (int)segments));
}

/* --- verify --- */

static json_t *report_json(const kv_audit_report *report)
{
    char hex[2 * sizeof(report->head) + 1];
    json_t *json = json_object();

    (void)json_object_set_new(json, "result", json_string(kv_audit_break_name(report->broken)));
    (void)json_object_set_new(json, "segments", json_integer((json_int_t)report->segments));
    (void)json_object_set_new(json, "checkpoints", json_integer((json_int_t)report->checkpoints));
    (void)json_object_set_new(json, "firstSequence", json_integer((json_int_t)report->first));
    (void)json_object_set_new(json, "lastSequence", json_integer((json_int_t)report->last));
    (void)json_object_set_new(json, "provedSequence", json_integer((json_int_t)report->proved));
    (void)json_object_set_new(json, "provedMs", json_integer(report->proved_ms));
    (void)json_object_set_new(json, "kid", json_string(report->proved_kid));
    kv_hex(kv_slice_of(report->node, sizeof(report->node)), hex);
    (void)json_object_set_new(json, "node", json_string(hex));
    kv_hex(kv_slice_of(report->head, sizeof(report->head)), hex);
    (void)json_object_set_new(json, "headHash", json_string(hex));
    if (report->broken == KV_AUDIT_SOUND)
        return json;
    (void)json_object_set_new(json, "segment", json_string(report->segment));
    (void)json_object_set_new(json, "offset", json_integer((json_int_t)report->offset));
    (void)json_object_set_new(json, "sequence", json_integer((json_int_t)report->sequence));
    (void)json_object_set_new(json, "what", json_string(report->what));
    return json;
}

static kv_exit tell(kv_cli *cli, const kv_audit_report *report)
{
    kv_exit told = kv_cli_print(cli, report_json(report));

    if (told != KV_EXIT_OK)
        return told;
    if (report->broken == KV_AUDIT_SOUND)
        return KV_EXIT_OK;
    kv_say(cli->err,
           "kvctl: the audit log is broken at record %llu (%s, byte %llu): %s\n"
           "  proved complete up to record %llu\n",
           (unsigned long long)report->sequence, report->segment,
           (unsigned long long)report->offset, report->what, (unsigned long long)report->proved);
    return KV_EXIT_NO;
}

static kv_exit verify_folder(kv_cli *cli, const char *folder, const kv_cli_audit_keys *keys,
                             kv_audit_report *report)
{
    const kv_audit_verify_in in = { .keys = keys->keys, .key_count = keys->count };
    kv_error err = { 0 };

    if (kv_audit_verify_folder(folder, &in, report, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

static void remove_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    const struct dirent *entry;

    while (entries && (entry = readdir(entries)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries)
        (void)closedir(entries);
    (void)rmdir(folder);
}

/* The server said what it had before it was asked for it: less than that was cut off. */
static void compare(const Keyvault__V1__AuditStatus *status, kv_audit_report *report)
{
    bool other_head = report->last == status->head_sequence &&
                      (status->head_hash.len != sizeof(report->head) ||
                       memcmp(status->head_hash.data, report->head, sizeof(report->head)) != 0);

    if (report->broken != KV_AUDIT_SOUND)
        return;
    if (report->last >= status->head_sequence && report->proved >= status->checkpoint_sequence &&
        !other_head)
        return;
    report->broken = KV_AUDIT_CUT;
    report->sequence = report->last + 1;
    (void)snprintf(report->what, sizeof(report->what),
                   "the server said it had %llu records, %llu of them proved",
                   (unsigned long long)status->head_sequence,
                   (unsigned long long)status->checkpoint_sequence);
}

static kv_exit verify_live_in(kv_cli *cli, const char *folder,
                              const Keyvault__V1__AuditStatus *status, kv_audit_report *report)
{
    const kv_cli_audit_keys keys = {
        .keys = { { .kid = kv_slice_text(status->kid),
                    .spki = kv_slice_of(status->public_key.data, status->public_key.len) } },
        .count = 1,
    };
    size_t segments;
    kv_exit told = kv_cli_export_segments(cli, folder, 0, 0, &segments);

    if (told == KV_EXIT_OK)
        told = verify_folder(cli, folder, &keys, report);
    if (told == KV_EXIT_OK)
        compare(status, report);
    return told;
}

static kv_exit verify_live(kv_cli *cli, kv_audit_report *report)
{
    const char *temporary = getenv("TMPDIR");
    char folder[PATH_BYTES];
    Keyvault__V1__AuditStatus *status = NULL;
    kv_exit told = kv_cli_audit_ask_status(cli, &status);

    if (told != KV_EXIT_OK)
        return told;
    (void)snprintf(folder, sizeof(folder), "%s/kvctl-audit-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        keyvault_message_free(status);
        kv_say(cli->err, "kvctl: no temporary folder can be made\n");
        return KV_EXIT_GENERAL;
    }
    told = verify_live_in(cli, folder, status, report);
    remove_folder(folder);
    keyvault_message_free(status);
    return told;
}

kv_exit kv_cli_audit_verify(kv_cli *cli)
{
    const char *folder = kv_cli_given(cli, "folder");
    kv_audit_report report = { 0 };
    kv_cli_audit_keys keys;
    kv_exit told;

    if (!folder == !kv_cli_given(cli, "live"))
        return kv_cli_usage(cli, "give --live, or --folder and --public-key");
    if (!folder) {
        told = verify_live(cli, &report);
    } else {
        if (!kv_cli_given(cli, "public-key"))
            return kv_cli_usage(cli, "--folder needs --public-key: from kvctl audit status "
                                     "--public-key, kept elsewhere");
        told = kv_cli_read_audit_keys(cli, folder, &keys);
        if (told == KV_EXIT_OK)
            told = verify_folder(cli, folder, &keys, &report);
    }
    return told == KV_EXIT_OK ? tell(cli, &report) : told;
}
