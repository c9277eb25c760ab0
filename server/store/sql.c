/* sql.c - statements as text. */
#include "server/store/sql.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/base/compiler.h"
#include "server/store/row.h"

typedef struct sql_text {
    char *text;
    size_t len;
    bool full;
    unsigned parameters;
} sql_text;

static const char *const head_columns[] = { "generation", "seal", "seal_key" };

KV_PRINTF(2, 3) static void put(sql_text *sql, const char *format, ...)
{
    size_t room = KV_SQL_BYTES - sql->len;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(sql->text + sql->len, room, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= room)
        sql->full = true;
    else
        sql->len += (size_t)len;
}

static void put_parameter(sql_text *sql)
{
    put(sql, "$%u", ++sql->parameters);
}

static void put_assignment(sql_text *sql, const char *column)
{
    put(sql, "\"%s\" = ", column);
    put_parameter(sql);
}

/* "a", "b", ..., "generation", "seal", "seal_key" */
static void put_columns(sql_text *sql, const kv_table *table)
{
    for (unsigned i = 0; i < table->column_count; i++)
        put(sql, "\"%s\", ", table->columns[i].name);
    put(sql, "\"generation\", \"seal\", \"seal_key\"");
}

static void put_names(sql_text *sql, const kv_table *table, const unsigned *columns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        put(sql, "%s\"%s\"", i ? ", " : "", table->columns[columns[i]].name);
}

/* WHERE "key" = $1 AND ... */
static void put_where_key(sql_text *sql, const kv_table *table)
{
    for (unsigned i = 0; i < table->key_count; i++) {
        put(sql, i ? " AND " : " WHERE ");
        put_assignment(sql, table->columns[i].name);
    }
}

static void put_select(sql_text *sql, const kv_table *table)
{
    put(sql, "SELECT ");
    put_columns(sql, table);
    put(sql, " FROM \"%s\"", table->name);
}

/* ("b", "c") > ($2, $3): the rest of the order past the prefix. Nothing is past a whole key. */
static void put_past(sql_text *sql, const kv_table *table, const unsigned *columns, unsigned count,
                     const char *operator)
{
    if (!count) {
        put(sql, "1 = 0");
        return;
    }
    put(sql, "(");
    put_names(sql, table, columns, count);
    put(sql, ") %s (", operator);
    for (unsigned i = 0; i < count; i++) {
        put(sql, i ? ", " : "");
        put_parameter(sql);
    }
    put(sql, ")");
}

static void put_scan(sql_text *sql, const kv_sql_shape *shape)
{
    const kv_table *table = shape->table;
    unsigned order[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(table, shape->index, order);

    put_select(sql, table);
    for (unsigned i = 0; i < shape->prefix; i++) {
        put(sql, i ? " AND " : " WHERE ");
        put_assignment(sql, table->columns[order[i]].name);
    }
    if (shape->after) {
        put(sql, shape->prefix ? " AND " : " WHERE ");
        put_past(sql, table, order + shape->prefix, count - shape->prefix, ">");
    }
    put(sql, " ORDER BY ");
    put_names(sql, table, order, count);
    put(sql, " LIMIT ");
    put_parameter(sql);
}

static void put_insert(sql_text *sql, const kv_table *table)
{
    put(sql, "INSERT INTO \"%s\" (", table->name);
    put_columns(sql, table);
    put(sql, ") VALUES (");
    for (unsigned i = 0; i < table->column_count + KV_COUNT(head_columns); i++) {
        put(sql, i ? ", " : "");
        put_parameter(sql);
    }
    put(sql, ")");
}

static void put_update(sql_text *sql, const kv_table *table)
{
    put(sql, "UPDATE \"%s\" SET ", table->name);
    for (unsigned i = table->key_count; i < table->column_count; i++) {
        put_assignment(sql, table->columns[i].name);
        put(sql, ", ");
    }
    for (unsigned i = 0; i < KV_COUNT(head_columns); i++) {
        put(sql, i ? ", " : "");
        put_assignment(sql, head_columns[i]);
    }
    put_where_key(sql, table);
    put(sql, " AND ");
    put_assignment(sql, "generation");
}

static void put_delete(sql_text *sql, const kv_table *table)
{
    put(sql, "DELETE FROM \"%s\"", table->name);
    put_where_key(sql, table);
    put(sql, " AND ");
    put_assignment(sql, "generation");
}

static void put_walk(sql_text *sql, const kv_table *table, bool from)
{
    unsigned order[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(table, 0, order);

    put(sql, "SELECT ");
    put_names(sql, table, order, count);
    put(sql, ", \"generation\" FROM \"%s\"", table->name);
    if (from) {
        put(sql, " WHERE ");
        put_past(sql, table, order, count, ">=");
    }
    put(sql, " ORDER BY ");
    put_names(sql, table, order, count);
}

bool kv_sql_text(const kv_sql_shape *shape, char out[KV_SQL_BYTES])
{
    sql_text sql = { .text = out };

    switch (shape->verb) {
    case KV_SQL_GET:
        put_select(&sql, shape->table);
        put_where_key(&sql, shape->table);
        break;
    case KV_SQL_SCAN:
        put_scan(&sql, shape);
        break;
    case KV_SQL_INSERT:
        put_insert(&sql, shape->table);
        break;
    case KV_SQL_UPDATE:
        put_update(&sql, shape->table);
        break;
    case KV_SQL_DELETE:
        put_delete(&sql, shape->table);
        break;
    case KV_SQL_WALK:
        put_walk(&sql, shape->table, shape->after);
        break;
    }
    return !sql.full;
}

static const char *type_name(const kv_sql_dialect *dialect, kv_column_kind kind)
{
    switch (kind) {
    case KV_COLUMN_INTEGER:
        return dialect->integer;
    case KV_COLUMN_TEXT:
        return dialect->text;
    case KV_COLUMN_BLOB:
        return dialect->blob;
    }
    return "";
}

bool kv_sql_create_table(const kv_table *table, const kv_sql_dialect *dialect,
                         char out[KV_SQL_BYTES])
{
    sql_text sql = { .text = out };

    put(&sql, "CREATE TABLE \"%s\" (\n", table->name);
    for (unsigned i = 0; i < table->column_count; i++)
        put(&sql, "    \"%s\" %s NOT NULL,\n", table->columns[i].name,
            type_name(dialect, table->columns[i].kind));
    put(&sql, "    \"generation\" %s NOT NULL,\n", dialect->integer);
    put(&sql, "    \"seal\" %s NOT NULL,\n", dialect->blob);
    put(&sql, "    \"seal_key\" %s NOT NULL,\n", dialect->blob);
    put(&sql, "    PRIMARY KEY (");
    for (unsigned i = 0; i < table->key_count; i++)
        put(&sql, "%s\"%s\"", i ? ", " : "", table->columns[i].name);
    put(&sql, ")\n)%s", dialect->suffix);
    return !sql.full;
}

bool kv_sql_create_index(const kv_table *table, unsigned index, char out[KV_SQL_BYTES])
{
    const kv_index *chosen = &table->indexes[index - 1];
    sql_text sql = { .text = out };
    unsigned order[KV_TABLE_COLUMNS];
    unsigned count = kv_table_order(table, index, order);

    put(&sql, "CREATE %sINDEX \"%s\" ON \"%s\" (", chosen->unique ? "UNIQUE " : "", chosen->name,
        table->name);
    put_names(&sql, table, order, count);
    put(&sql, ")");
    return !sql.full;
}
