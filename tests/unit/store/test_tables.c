/* test_tables.c - the descriptors are in order and cover their structs. */
#include "server/store/schema.h"

#include "tests/support/kv_cmocka.h"

static size_t size_of(kv_column_kind kind)
{
    return kind == KV_COLUMN_INTEGER ? sizeof(int64_t) : sizeof(kv_slice);
}

/* The columns follow each other without a gap to the end: no member was forgotten or taken twice.
 */
static void columns_cover_the_struct(void **state)
{
    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];
        size_t at = sizeof(kv_row_head);

        assert_true(table->column_count <= KV_TABLE_COLUMNS);
        for (unsigned i = 0; i < table->column_count; i++) {
            if (table->columns[i].offset != at)
                fail_msg("%s.%s is not where it should be", table->name, table->columns[i].name);
            at += size_of(table->columns[i].kind);
        }
        if (at != table->row_size)
            fail_msg("%s: a member of the struct has no column", table->name);
    }
}

static void names_are_unique(void **state)
{
    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];

        for (size_t u = 0; u < t; u++)
            assert_string_not_equal(table->name, kv_tables[u]->name);
        for (unsigned i = 0; i < table->column_count; i++)
            for (unsigned j = 0; j < i; j++)
                assert_string_not_equal(table->columns[i].name, table->columns[j].name);
    }
}

static void keys_and_indexes_name_columns(void **state)
{
    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++) {
        const kv_table *table = kv_tables[t];

        assert_true(table->key_count >= 1 && table->key_count <= table->column_count);
        assert_true(table->index_count <= KV_TABLE_INDEXES);
        for (unsigned i = 0; i < table->index_count; i++) {
            const kv_index *index = &table->indexes[i];

            assert_non_null(index->name);
            assert_true(index->column_count >= 1 && index->column_count <= KV_INDEX_COLUMNS);
            for (unsigned c = 0; c < index->column_count; c++)
                assert_true(index->columns[c] < table->column_count);
        }
    }
}

static const struct {
    const kv_table *table;
    unsigned index;
    bool unique;
    const char *columns[KV_INDEX_COLUMNS];
} promised[] = {
    { &kv_table_objects, 1, false, { "uid" } },
    { &kv_table_objects, 2, false, { "deleted" } },
    { &kv_table_key_versions, 1, false, { "key_id" } },
    { &kv_table_certificate_versions, 1, false, { "vault_uid", "sha1" } },
    { &kv_table_certificate_versions, 2, false, { "vault_uid", "sha256" } },
    { &kv_table_certificate_versions, 3, false, { "serial" } },
    { &kv_table_issuers, 1, false, { "credential_expires" } },
    { &kv_table_operations, 1, false, { "state", "object_uid" } },
    { &kv_table_operations, 2, false, { "next_at", "object_uid" } },
    { &kv_table_operations, 3, false, { "worker", "object_uid" } },
    { &kv_table_operations, 4, false, { "vault_uid", "issuer_lower", "next_at", "object_uid" } },
    { &kv_table_renewals, 1, false, { "due_at", "object_uid" } },
    { &kv_table_renewals, 2, false, { "vault_uid", "issuer", "due_at", "object_uid" } },
    { &kv_table_renewals, 3, false, { "renew_at", "object_uid" } },
    { &kv_table_name_budgets, 1, false, { "full_at" } },
    { &kv_table_proofs, 1, false, { "ends_at" } },
    { &kv_table_rotations, 1, false, { "due_at", "object_uid" } },
    { &kv_table_token_objects, 1, false, { "state", "key_id" } },
    { &kv_table_token_objects, 2, false, { "owner_uid" } },
    { &kv_table_token_objects, 3, false, { "spki" } },
    { &kv_table_principals, 1, true, { "name_lower" } },
    { &kv_table_credentials, 1, true, { "match" } },
    { &kv_table_credentials, 2, false, { "principal_id" } },
    { &kv_table_credentials, 3, false, { "vault" } },
    { &kv_table_slots, 1, false, { "credential_id" } },
    { &kv_table_assignments, 1, false, { "scope" } },
    { &kv_table_revocations, 1, false, { "until" } },
    { &kv_table_idempotency, 1, false, { "created" } },
    { &kv_table_issued, 1, true, { "operation" } },
    { &kv_table_issued, 2, false, { "authority_uid", "state", "serial" } },
    { &kv_table_webhooks, 1, true, { "uid" } },
    { &kv_table_deliveries, 1, false, { "target", "state", "next_at" } },
    { &kv_table_deliveries, 2, false, { "target", "object_uid" } },
    { &kv_table_deliveries, 3, false, { "vault_uid", "state" } },
    { &kv_table_events, 1, false, { "vault_uid", "sequence" } },
    { &kv_table_expiries, 1, false, { "due_at", "object_uid" } },
    { &kv_table_issued, 3, false, { "authority_uid", "not_after", "serial" } },
};

/* What schema.h says beside each descriptor, and nothing more. */
static void indexes_are_those_of_the_header(void **state)
{
    unsigned total = 0;

    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++)
        total += kv_tables[t]->index_count;
    assert_int_equal(total, KV_COUNT(promised));
    for (size_t p = 0; p < KV_COUNT(promised); p++) {
        const kv_table *table = promised[p].table;
        const kv_index *index = &table->indexes[promised[p].index - 1];

        assert_int_equal(index->unique, promised[p].unique);
        for (unsigned c = 0; c < index->column_count; c++)
            assert_string_equal(table->columns[index->columns[c]].name, promised[p].columns[c]);
        assert_true(index->column_count == KV_INDEX_COLUMNS ||
                    !promised[p].columns[index->column_count]);
    }
}

/* Grants are covered by their principal, segments prove themselves; the rest is sealed. */
static void all_but_two_tables_are_sealed(void **state)
{
    (void)state;
    for (size_t t = 0; t < kv_tables_count; t++)
        assert_int_equal(kv_tables[t]->sealed, kv_tables[t] != &kv_table_assignments &&
                                                   kv_tables[t] != &kv_table_segments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_cover_the_struct),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(keys_and_indexes_name_columns),
        cmocka_unit_test(indexes_are_those_of_the_header),
        cmocka_unit_test(all_but_two_tables_are_sealed),
    };

    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
