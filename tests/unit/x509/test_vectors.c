/* test_vectors.c - every file of Debian's python3-cryptography-vectors that has to do with keys and
 * certificates, each with the result that vectors.txt says. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/x509/armour.h"
#include "server/x509/found.h"
#include "server/x509/import.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

#define FOLDER "/usr/lib/python3/dist-packages/cryptography_vectors/"

enum { FILE_MAX = 4 << 20, LINE_MAX_BYTES = 600, RESULT_MAX = 320 };

typedef struct reading {
    kv_arena arena, scratch;
    kv_slice bytes;
    kv_slice password;
    char result[RESULT_MAX];
    kv_error err;
} reading;

static kv_slice read_file(const char *path, kv_arena *arena)
{
    char *bytes = kv_arena_alloc(arena, FILE_MAX);
    FILE *file = fopen(path, "rb");
    size_t len;

    if (!file)
        fail_msg("%s: not there; install python3-cryptography-vectors", path);
    len = fread(bytes, 1, FILE_MAX, file);
    (void)fclose(file);
    return kv_slice_of(bytes, len);
}

static void refused(reading *r)
{
    assert_int_equal(r->err.status, KV_BAD_REQUEST);
    (void)snprintf(r->result, sizeof(r->result), "refused %s: %s", r->err.field, r->err.message);
}

/* The whole of an import; old test certificates have expired, and some are CAs'. */
static void import(reading *r)
{
    kv_x509_import_in in = { .value = r->bytes,
                             .password = r->password,
                             .now_ms = SOFT_NOW_MS,
                             .allow_ca = true,
                             .allow_expired = true };
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;

    if (kv_x509_import(&r->arena, &in, &out, &r->err) != KV_OK) {
        refused(r);
        return;
    }
    assert_true(out.key.len > 0);
    assert_int_equal(out.chain.count, out.given.count);
    (void)snprintf(r->result, sizeof(r->result), "ok %zu certificate%s", out.chain.count,
                   out.complete ? ", complete" : "");
}

static kv_status read_bytes(reading *r, kv_x509_found *found)
{
    kv_x509_form form = KV_X509_FORM_UNKNOWN;
    kv_slice bytes = KV_SLICE_NONE;
    bool is = false;

    KV_TRY(kv_x509_peel(&r->scratch, r->bytes, "value", "PEM or DER", &bytes, &form, &r->err));
    if (form == KV_X509_FORM_PEM)
        return kv_x509_pem_read(found, bytes, &r->err);
    KV_TRY(kv_x509_certificates_read(found, bytes, &is, &r->err));
    return is ? KV_OK : kv_fail_field(&r->err, "value", "no certificate");
}

/* Reads what there is, and looks into every certificate. */
static void read_all(reading *r)
{
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    KV_AUTO(kv_x509_found)
    found = { .arena = &r->arena, .scratch = &r->scratch, .field = "value", .needs_key = true };
    kv_x509_facts facts;
    kv_status status;

    assert_kv_ok_with(kv_secret_buf_copy(r->password, &password, &r->err), &r->err);
    found.password = kv_secret_buf_slice(&password);
    status = read_bytes(r, &found);
    for (size_t i = 0; status == KV_OK && i < found.count; i++)
        status = kv_x509_inspect(&r->arena, found.certificates[i], &facts, &r->err);
    if (status != KV_OK)
        refused(r);
    else
        (void)snprintf(r->result, sizeof(r->result), "ok %zu certificates, %s", found.count,
                       found.key ? "a key" : "no key");
}

static void request(reading *r)
{
    kv_x509_blocks blocks = { .rest = r->bytes, .field = "csr" };
    kv_x509_block block = { .der = r->bytes };
    kv_x509_facts facts;
    bool more = true;

    if (kv_x509_form_of(r->bytes) == KV_X509_FORM_PEM)
        assert_kv_ok_with(kv_x509_blocks_next(&r->scratch, &blocks, &block, &more, &r->err),
                          &r->err);
    if (kv_x509_inspect_request(&r->arena, block.der, &facts, &r->err) != KV_OK)
        refused(r);
    else
        (void)snprintf(r->result, sizeof(r->result), "ok %.*s", KV_SLICE_ARG(facts.subject));
}

static void describe(const char *how, const char *password, const char *path, char *out)
{
    char full[LINE_MAX_BYTES];
    reading r = { .arena = KV_ARENA(16 << 20), .scratch = KV_ARENA(16 << 20) };

    (void)snprintf(full, sizeof(full), FOLDER "%s", path);
    r.bytes = read_file(full, &r.arena);
    r.password = strcmp(password, "-") ? kv_slice_text(password) : KV_SLICE_NONE;
    if (!strcmp(how, "import"))
        import(&r);
    else if (!strcmp(how, "read"))
        read_all(&r);
    else
        request(&r);
    memcpy(out, r.result, sizeof(r.result));
    kv_arena_cleanup(&r.scratch);
    kv_arena_cleanup(&r.arena);
}

/* Lines: how, password ("-": none), path, result. */
static void gives_the_result_of_the_table(void **state)
{
    char line[LINE_MAX_BYTES], got[RESULT_MAX];
    FILE *table = fopen(KV_VECTORS, "r");
    unsigned count = 0, wrong = 0;

    (void)state;
    assert_non_null(table);
    while (fgets(line, sizeof(line), table)) {
        char *rest = NULL;
        const char *how = strtok_r(line, "\t", &rest), *password = strtok_r(NULL, "\t", &rest);
        const char *path = strtok_r(NULL, "\t", &rest), *expected = strtok_r(NULL, "\n", &rest);

        if (how[0] == '#')
            continue;
        assert_non_null(expected);
        describe(how, password, path, got);
        count++;
        if (!strcmp(got, expected))
            continue;
        wrong++;
        print_error("%s %s '%s':\n  expected %s\n  got      %s\n", how, path, password, expected,
                    got);
    }
    (void)fclose(table);
    assert_int_equal(wrong, 0);
    assert_true(count > 700);
}

static bool table_has(const char *path)
{
    char line[LINE_MAX_BYTES];
    FILE *table = fopen(KV_VECTORS, "r");
    bool has = false;

    assert_non_null(table);
    while (!has && fgets(line, sizeof(line), table))
        has = strstr(line, path) != NULL;
    (void)fclose(table);
    return has;
}

static void assert_folder_is_covered(const char *folder)
{
    char path[LINE_MAX_BYTES];
    struct dirent *entry;
    unsigned count = 0;
    DIR *files;

    (void)snprintf(path, sizeof(path), FOLDER "%s", folder);
    files = opendir(path);
    assert_non_null(files);
    while ((entry = readdir(files))) {
        const char *dot = strrchr(entry->d_name, '.');

        if (!dot || (strcmp(dot, ".p12") && strcmp(dot, ".pem") && strcmp(dot, ".der")))
            continue;
        (void)snprintf(path, sizeof(path), "\t%s/%s\t", folder, entry->d_name);
        if (!table_has(path))
            fail_msg("%s: not in the table", path);
        count++;
    }
    (void)closedir(files);
    assert_true(count > 0);
}

static void the_table_has_every_file(void **state)
{
    static const char *const folders[] = { "pkcs12",
                                           "pkcs7",
                                           "x509",
                                           "x509/custom",
                                           "x509/custom/ca",
                                           "x509/requests",
                                           "x509/PKITS_data/pkcs12",
                                           "asymmetric/PKCS8",
                                           "asymmetric/PEM_Serialization",
                                           "asymmetric/DER_Serialization",
                                           "asymmetric/Traditional_OpenSSL_Serialization" };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(folders); i++)
        assert_folder_is_covered(folders[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_result_of_the_table),
        cmocka_unit_test(the_table_has_every_file),
    };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
