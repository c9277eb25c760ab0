/* main.c - how long a page of the inventory, and a start, take with more and more certificates.
 *
 *     kv_bench_inventory 1000 10000 100000
 *
 * One certificate is made in the usual way; the others are its rows under other names, each sealed
 * and counted in the digest as any row is, in large changes: only the way in is shorter. Tokens are
 * the fake's, so that nothing but the store is measured; there is no door and no network. A start
 * is everything up to where a server would listen without waiting for the comparison of all rows,
 * which goes on behind it (decision 25); how long that takes is told beside. Prints a line for each
 * number of certificates.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/vault/vault_impl.h"
#include "tests/contract/vault/acts.h"

enum { BATCH = 500, ROWS_EACH = 9, PAGES = 41, PAGE_SIZE = 100, NAME_BYTES = 16 };

/* The rows of one certificate. */
typedef struct rows {
    kv_object_row objects[3];
    kv_certificate_version_row certificate;
    kv_key_version_row key;
    kv_secret_version_row secret;
    kv_policy_row policy;
    kv_renewal_row renewal;
    kv_expiry_row expiry;
} rows;

static void first_of(house *h, const kv_table *table, void *row, size_t size, unsigned count)
{
    kv_scan scan = { .table = table, .from = row, .limit = count };
    kv_error err = { 0 };
    kv_rows found;

    assert_kv_ok(kv_records_scan(h->records, &scan, &h->arena, &found, &err));
    assert_int_equal(found.count, count);
    memcpy(row, found.rows, size * count);
}

static void read_rows(house *h, rows *out)
{
    *out = (rows){ 0 };
    first_of(h, &kv_table_objects, out->objects, sizeof(out->objects[0]), 3);
    first_of(h, &kv_table_certificate_versions, &out->certificate, sizeof(out->certificate), 1);
    first_of(h, &kv_table_key_versions, &out->key, sizeof(out->key), 1);
    first_of(h, &kv_table_secret_versions, &out->secret, sizeof(out->secret), 1);
    first_of(h, &kv_table_policies, &out->policy, sizeof(out->policy), 1);
    first_of(h, &kv_table_renewals, &out->renewal, sizeof(out->renewal), 1);
    first_of(h, &kv_table_expiries, &out->expiry, sizeof(out->expiry), 1);
}

static kv_slice new_id(kv_arena *arena)
{
    uint8_t *id = kv_arena_alloc(arena, KV_UID_BYTES);

    assert_non_null(id);
    assert_true(kv_random_id(id, KV_UID_BYTES));
    return kv_slice_of(id, KV_UID_BYTES);
}

static void insert(kv_change *change, const kv_table *table, void *row, kv_row_head *head)
{
    kv_error err = { 0 };

    *head = (kv_row_head){ 0 };
    assert_kv_ok(kv_change_insert(change, table, row, &err));
}

static void add_one(kv_change *change, kv_arena *arena, const rows *one, unsigned number)
{
    rows *of = kv_arena_alloc(arena, sizeof(*of));
    kv_error err = { 0 };
    kv_slice name;

    assert_non_null(of);
    *of = *one;
    assert_kv_ok(kv_arena_print(arena, &name, &err, "c-%09u", number));
    for (int i = 0; i < 3; i++) {
        kv_object_row *object = &of->objects[i];

        object->name = name;
        object->display_name = name;
        object->uid = new_id(arena);
        insert(change, &kv_table_objects, object, &object->head);
    }
    of->certificate.object_uid = of->objects[0].uid;
    of->key.object_uid = of->objects[1].uid;
    of->key.key_id = new_id(arena);
    of->secret.object_uid = of->objects[2].uid;
    of->policy.object_uid = of->objects[0].uid;
    of->renewal.object_uid = of->objects[0].uid;
    of->expiry.object_uid = of->objects[0].uid;
    insert(change, &kv_table_certificate_versions, &of->certificate, &of->certificate.head);
    insert(change, &kv_table_key_versions, &of->key, &of->key.head);
    insert(change, &kv_table_secret_versions, &of->secret, &of->secret.head);
    insert(change, &kv_table_policies, &of->policy, &of->policy.head);
    insert(change, &kv_table_renewals, &of->renewal, &of->renewal.head);
    insert(change, &kv_table_expiries, &of->expiry, &of->expiry.head);
}

static void add_batch(house *h, const rows *one, unsigned from, unsigned count)
{
    kv_change change = { 0 };
    kv_error err = { 0 };
    house_job job;

    house_begin(h, &job);
    assert_kv_ok(kv_change_room(&change, job.work.arena, count * ROWS_EACH, &err));
    for (unsigned i = 0; i < count; i++)
        add_one(&change, job.work.arena, one, from + i);
    assert_kv_ok(kv_commit_step(h->vault, &job.work, "Bench", &change, &err));
    house_end(h, &job, KV_OK);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return left < right ? -1 : left > right;
}

/* The median page, in microseconds, of pages all over the inventory. */
static int64_t page_us(house *h, unsigned certificates)
{
    int64_t took[PAGES];
    kv_error err;

    for (unsigned i = 0; i < PAGES; i++) {
        unsigned from = (unsigned)((uint64_t)(certificates - 1) * i / PAGES);
        char token[NAME_BYTES + sizeof(ACT_VAULT)];
        kv_inventory_list_in in = { .target = act_target(KV_COLLECTION_CERTIFICATES, ""),
                                    .page = { .size = PAGE_SIZE } };
        kv_inventory_page page;
        int64_t began;

        (void)snprintf(token, sizeof(token), ACT_VAULT "/c-%09u", from);
        in.page.token = kv_slice_text(token);
        began = kv_monotonic_us();
        assert_kv_ok(HOUSE_DO(h, kv_inventory_list, &in, &page));
        took[i] = kv_monotonic_us() - began;
        assert_true(page.count > 0);
    }
    qsort(took, PAGES, sizeof(took[0]), compare);
    return took[PAGES / 2];
}

/* As a server does: who may what is compared before anybody is served. */
static void measure(house *h, unsigned certificates)
{
    static const kv_table *const first[] = { &kv_table_principals, &kv_table_credentials,
                                             &kv_table_vaults, NULL };
    kv_error err = { 0 };
    int64_t page = page_us(h, certificates);
    int64_t began, ready, early, whole;
    kv_verified *verified;

    house_shut(h);
    began = kv_monotonic_us();
    assert_kv_ok(house_open(h, &err));
    verified = kv_verified_begin(h->store, first);
    assert_non_null(verified);
    assert_kv_ok(kv_verified_wait(verified, 0, &err));
    kv_records_trust(h->records, verified);
    ready = kv_monotonic_us();
    early = page_us(h, certificates);
    assert_kv_ok(kv_verified_finish(verified, &err));
    whole = kv_monotonic_us();
    kv_records_trust(h->records, NULL);
    kv_verified_free(verified);
    printf("%12u %12u %15.2f %10.3f %15.2f %12.3f\n", certificates, certificates * ROWS_EACH,
           (double)page / 1e3, (double)(ready - began) / 1e6, (double)early / 1e3,
           (double)(whole - began) / 1e6);
    (void)fflush(stdout);
}

typedef struct numbers {
    char **texts;
    int count;
} numbers;

static void more_and_more(void **state)
{
    const numbers *wanted = *state;
    kv_error err = { 0 };
    unsigned have = 1;
    house *h = house_new(false);
    rows one;

    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(act_make_certificate(h, "c-000000000", "Self", false, NULL, &err));
    read_rows(h, &one);
    printf("%12s %12s %15s %10s %15s %12s\n", "certificates", "rows", "page of 100, ms", "start, s",
           "page then, ms", "compared, s");
    for (int i = 0; i < wanted->count; i++) {
        unsigned certificates = (unsigned)strtoul(wanted->texts[i], NULL, 10);

        while (have < certificates) {
            unsigned count = certificates - have < BATCH ? certificates - have : BATCH;

            add_batch(h, &one, have, count);
            have += count;
        }
        measure(h, have);
    }
    house_free(h);
}

int main(int argc, char **argv)
{
    numbers wanted = { argv + 1, argc - 1 };
    const struct CMUnitTest tests[] = { cmocka_unit_test_prestate(more_and_more, &wanted) };

    return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
