/* test_pkits.c - NIST's path validation test suite (PKITS), held against our chains.
 *
 * Debian's python3-cryptography-vectors has it. pkits.txt says for each test of the sections that
 * our code claims what the suite asks for and what we say; where the two differ it says why. For
 * every test all certificates of the suite that could be above the leaf by their names are given at
 * once: finding the path is part of it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "server/x509/chain.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/soft_key.h"

#define FOLDER "/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data/certs"

/* The suite's certificates are valid from 2010 to 2030, but for those that are about that. */
#define NOW_MS INT64_C(1795176000000) /* 2026-11-20 */

enum { CERTIFICATES = 512, FILE_MAX = 8192, LINE = 256 };

typedef struct certificate {
    char name[128]; /* of the file, without .crt */
    kv_slice der;
    X509 *parsed;
} certificate;

typedef struct suite {
    kv_arena arena;
    certificate all[CERTIFICATES];
    size_t count;
} suite;

static void read_one(suite *s, const char *file)
{
    uint8_t *bytes = kv_arena_alloc(&s->arena, FILE_MAX);
    certificate *next = &s->all[s->count++];
    char path[512];
    FILE *in;
    const uint8_t *at = bytes;
    size_t len;

    assert_true(s->count < CERTIFICATES);
    (void)snprintf(path, sizeof(path), "%s/%s", FOLDER, file);
    in = fopen(path, "rb");
    assert_non_null(in);
    len = fread(bytes, 1, FILE_MAX, in);
    (void)fclose(in);
    next->der = kv_slice_of(bytes, len);
    next->parsed = d2i_X509(NULL, &at, (long)len);
    assert_non_null(next->parsed);
    (void)snprintf(next->name, sizeof(next->name), "%.*s", (int)(strlen(file) - 4), file);
}

static int read_all(void **state)
{
    suite *s = test_calloc(1, sizeof(*s));
    DIR *folder = opendir(FOLDER);
    const struct dirent *entry;

    if (!folder)
        fail_msg("%s is not there: python3-cryptography-vectors is not installed", FOLDER);
    s->arena = KV_ARENA(32 << 20);
    while ((entry = readdir(folder)) != NULL)
        if (strstr(entry->d_name, ".crt"))
            read_one(s, entry->d_name);
    (void)closedir(folder);
    *state = s;
    return 0;
}

static int forget_all(void **state)
{
    suite *s = *state;

    for (size_t i = 0; i < s->count; i++)
        X509_free(s->all[i].parsed);
    kv_arena_cleanup(&s->arena);
    test_free(s);
    return 0;
}

static const certificate *find(const suite *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->all[i].name, name))
            return &s->all[i];
    fail_msg("the suite has no certificate '%s'", name);
    return NULL;
}

static bool is_leaf(const certificate *of)
{
    size_t len = strlen(of->name);

    return len > 2 && !strcmp(of->name + len - 2, "EE");
}

/* All that may be above the leaf by their names; the leaf is the first. */
static kv_x509_list candidates(suite *s, const certificate *leaf)
{
    kv_slice *items = kv_arena_array(&s->arena, CERTIFICATES, sizeof(*items));
    const certificate *taken[CERTIFICATES];
    const certificate *root = find(s, "TrustAnchorRootCertificate");
    size_t count = 1;

    taken[0] = leaf;
    for (size_t done = 0; done < count; done++)
        for (size_t i = 0; i < s->count; i++) {
            const certificate *each = &s->all[i];
            bool known = is_leaf(each) || each == root;

            for (size_t k = 0; k < count && !known; k++)
                known = taken[k] == each;
            if (!known && X509_NAME_cmp(X509_get_issuer_name(taken[done]->parsed),
                                        X509_get_subject_name(each->parsed)) == 0)
                taken[count++] = each;
        }
    for (size_t i = 0; i < count; i++)
        items[i] = taken[i]->der;
    return (kv_x509_list){ .items = items, .count = count };
}

static const char *say(suite *s, const char *name, kv_error *err)
{
    const certificate *leaf = find(s, name);
    const certificate *root = find(s, "TrustAnchorRootCertificate");
    kv_x509_chain_in in = { .certificates = candidates(s, leaf),
                            .anchors = { .items = &root->der, .count = 1 },
                            .now_ms = NOW_MS,
                            .field = "x5c",
                            .need_complete = true };
    kv_x509_chain out;
    time_t now = (time_t)(NOW_MS / 1000);

    *err = (kv_error){ 0 };
    if (kv_x509_chain_build(&s->arena, &in, &out, err) != KV_OK)
        return "invalid";
    assert_slice_equal(out.certificates.items[out.certificates.count - 1], root->der);
    if (out.expired || X509_cmp_time(X509_get0_notBefore(leaf->parsed), &now) > 0 ||
        X509_cmp_time(X509_get0_notAfter(leaf->parsed), &now) < 0)
        return "expired";
    return "valid";
}

/* "4.1.1 valid valid ValidCertificatePathTest1EE [why they differ]" */
static void every_test_of_the_suite_says_what_it_is_to(void **state)
{
    suite *s = *state;
    unsigned tests = 0, differ = 0, wrong = 0;
    char line[LINE];
    FILE *in = fopen(KV_PKITS, "r");

    assert_non_null(in);
    while (fgets(line, sizeof(line), in)) {
        char section[16], asked[16], ours[16], name[128], why[LINE] = "";
        kv_error err;
        const char *says;

        if (line[0] == '#' || line[0] == '\n')
            continue;
        assert_in_range(
            sscanf(line, "%15s %15s %15s %127s %255[^\n]", section, asked, ours, name, why), 4, 5);
        says = say(s, name, &err);
        tests++;
        differ += strcmp(asked, ours) != 0;
        if (strcmp(asked, ours) != 0 && !why[0])
            fail_msg("%s: nothing says why it differs", section);
        if (strcmp(says, ours) != 0) {
            print_error("%s %s: %s instead of %s: %s\n", section, name, says, ours, err.message);
            wrong++;
        }
    }
    (void)fclose(in);
    assert_int_equal(wrong, 0);
    print_message("%u tests, %u differ from the suite\n", tests, differ);
    assert_int_equal(tests, KV_PKITS_TESTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_test_of_the_suite_says_what_it_is_to),
    };

    return cmocka_run_group_tests(tests, read_all, forget_all);
}
