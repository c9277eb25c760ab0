/* verify.c - is this audit log whole? */
#include "server/audit/verify.h"

#include <stdlib.h>

#include "server/audit/walk.h"

/* One file, with the number it is sorted by. */
typedef struct log_file {
    const char *path;
    const char *name;
    uint64_t first; /* as the header says, else the name; 0: neither does */
} log_file;

typedef struct log_files {
    log_file *list;
    size_t count;
} log_files;

static void log_files_cleanup(log_files *files)
{
    free(files->list);
    files->list = NULL;
}

static int by_first(const void *a, const void *b)
{
    const log_file *left = a, *right = b;

    return (left->first > right->first) - (left->first < right->first);
}

static kv_status look(const char *path, log_file *out, kv_error *err)
{
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;
    const char *slash = strrchr(path, '/');

    out->path = path;
    out->name = slash ? slash + 1 : path;
    KV_TRY(kv_segment_reader_open(path, KV_SEGMENT_HEADER_BYTES, &reader, err));
    if (!kv_segment_name_parse(out->name, &out->first) && reader.header_good)
        out->first = reader.header.first;
    return KV_OK;
}

static kv_status prepare(const kv_audit_verify_in *in, kv_walk *walk, kv_error *err)
{
    walk->keys = in->keys;
    walk->key_count = in->key_count;
    if (in->expected.len == 0)
        return KV_OK;
    walk->has_expected = true;
    return kv_checkpoint_unpack(in->expected, &walk->expected, err);
}

static kv_status walk_file(kv_walk *walk, const log_file *file, kv_error *err)
{
    KV_AUTO(kv_segment_reader) reader = KV_SEGMENT_READER_NONE;

    KV_TRY(kv_segment_reader_open(file->path, UINT64_MAX, &reader, err));
    return kv_walk_segment(walk, &reader, file->name, err);
}

kv_status kv_audit_verify(const kv_audit_verify_in *in, kv_audit_report *out, kv_error *err)
{
    KV_AUTO(log_files) files = { 0 };
    KV_AUTO(kv_walk) walk = { 0 };
    kv_audit_report report;

    if (in->file_count == 0)
        return kv_fail(err, KV_NOT_FOUND, "there is no segment to verify");
    KV_TRY(prepare(in, &walk, err));
    files.list = calloc(in->file_count, sizeof(*files.list));
    if (!files.list)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    for (; files.count < in->file_count; files.count++)
        KV_TRY(look(in->files[files.count], &files.list[files.count], err));
    qsort(files.list, files.count, sizeof(*files.list), by_first);

    kv_walk_begin(&walk, &report);
    for (size_t i = 0; i < files.count && !report.broken; i++)
        KV_TRY(walk_file(&walk, &files.list[i], err));
    kv_walk_end(&walk);
    *out = report;
    return KV_OK;
}

typedef struct log_paths {
    char (*text)[KV_SEGMENT_PATH_BYTES];
    const char **list;
} log_paths;

static void log_paths_cleanup(log_paths *paths)
{
    free(paths->text);
    free(paths->list);
}

kv_status kv_audit_verify_folder(const char *folder, const kv_audit_verify_in *in,
                                 kv_audit_report *out, kv_error *err)
{
    KV_AUTO(kv_segment_list) segments = KV_SEGMENT_LIST_NONE;
    KV_AUTO(log_paths) paths = { 0 };
    kv_audit_verify_in files = *in;

    KV_TRY(kv_segment_list_read(folder, &segments, err));
    if (segments.count == 0)
        return kv_fail(err, KV_NOT_FOUND, "there is no segment to verify");
    paths.text = calloc(segments.count, sizeof(*paths.text));
    paths.list = calloc(segments.count, sizeof(*paths.list));
    if (!paths.text || !paths.list)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory for the audit log");
    for (size_t i = 0; i < segments.count; i++) {
        char name[KV_SEGMENT_NAME_BYTES];

        kv_segment_name(segments.firsts[i], name);
        KV_TRY(kv_segment_path(folder, name, paths.text[i], err));
        paths.list[i] = paths.text[i];
    }
    files.files = paths.list;
    files.file_count = segments.count;
    return kv_audit_verify(&files, out, err);
}

const char *kv_audit_break_name(kv_audit_break broken)
{
    static const char *const names[KV_AUDIT_BREAK_COUNT] = {
        [KV_AUDIT_SOUND] = "sound",
        [KV_AUDIT_BAD_HEADER] = "bad header",
        [KV_AUDIT_EDITED] = "edited",
        [KV_AUDIT_DROPPED] = "dropped",
        [KV_AUDIT_SWAPPED] = "swapped",
        [KV_AUDIT_REPEATED] = "repeated",
        [KV_AUDIT_CUT] = "cut",
        [KV_AUDIT_MISSING] = "segment missing",
        [KV_AUDIT_BAD_CHECKPOINT] = "bad checkpoint",
        [KV_AUDIT_BAD_SIGNATURE] = "bad signature",
        [KV_AUDIT_UNKNOWN_KEY] = "unknown key",
    };

    return broken < KV_AUDIT_BREAK_COUNT ? names[broken] : "";
}
