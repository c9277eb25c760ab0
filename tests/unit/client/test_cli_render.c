/* test_cli_render.c - json, table, tsv and csv of the same answer. */
#include "client/cli/render.h"

#include <stdlib.h>

#include "client/cli/glyph.h"
#include "tests/support/kv_cmocka.h"

static const char answer[] =
    "[{\"id\": {\"name\": \"web\"}, \"kind\": \"KEY_TYPE_EC\", \"created\": 1795220591,"
    "  \"at\": 1795220591854, \"x5t\": \"3q2+7w==\", \"managed\": true,"
    "  \"tags\": [{\"name\": \"a\", \"value\": \"b\"}, {\"name\": \"c\", \"value\": \"d\"}]},"
    " {\"id\": {\"name\": \"line\\nfeed\"}, \"created\": 0, \"managed\": false}]";

static const char columns[] = "NAME=id.name KIND=kind:KEY_TYPE_ CREATED=created:time AT=at:ms "
                              "X5T=x5t:hex M=managed TAGS=tags";

static char *render(const char *json, kv_output output, const char *spec)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(value);
    kv_render(out, output, spec, value);
    (void)fclose(out);
    json_decref(value);
    return text;
}

static void prints_columns(void **state)
{
    char *text = render(answer, KV_OUTPUT_TABLE, columns);

    (void)state;
    assert_string_equal(
        text,
        "NAME       KIND  CREATED               AT                        X5T       M      TAGS\n"
        "web        ec    2026-11-21T00:23:11Z  2026-11-21T00:23:11.854Z  deadbeef  true   "
        "a=b,c=d\n"
        "line feed                                                                  false  \n");
    free(text);
}

static void prints_values_with_tabs(void **state)
{
    char *text = render(answer, KV_OUTPUT_TSV, "NAME=id.name M=managed");

    (void)state;
    assert_string_equal(text, "web\ttrue\nline feed\tfalse\n");
    free(text);
}

static void prints_csv_with_a_head(void **state)
{
    char *text = render(answer, KV_OUTPUT_CSV, columns);

    (void)state;
    assert_string_equal(
        text, "NAME,KIND,CREATED,AT,X5T,M,TAGS\r\n"
              "web,ec,2026-11-21T00:23:11Z,2026-11-21T00:23:11.854Z,deadbeef,true,\"a=b,c=d\"\r\n"
              "line feed,,,,,false,\r\n");
    free(text);
    text = render("[]", KV_OUTPUT_CSV, "NAME=id.name M=managed");
    assert_string_equal(text, "NAME,M\r\n");
    free(text);
    text = render("[\"x\", \"y,z\"]", KV_OUTPUT_CSV, NULL);
    assert_string_equal(text, "VALUE\r\nx\r\n\"y,z\"\r\n");
    free(text);
}

/* What others chose (a tag, an error of an authority) runs nothing in whoever opens the file. */
static void formulas_are_text_in_csv(void **state)
{
    char *text = render("[{\"a\": \"=cmd|'/c calc'!A1\", \"b\": \"+1\", \"c\": \"-1\", "
                        "\"d\": \"@SUM(A1)\", \"e\": \"say \\\"=1\\\"\", \"f\": \"a=1\", "
                        "\"g\": \"\\t=1\", \"h\": [{\"name\": \"=1\", \"value\": \"x\"}]}]",
                        KV_OUTPUT_CSV, "A=a B=b C=c D=d E=e F=f G=g H=h");

    (void)state;
    assert_string_equal(text, "A,B,C,D,E,F,G,H\r\n"
                              "\"'=cmd|'/c calc'!A1\",\"'+1\",\"'-1\",\"'@SUM(A1)\","
                              "\"say \"\"=1\"\"\",a=1,\" =1\",\"'=1=x\"\r\n");
    free(text);
}

static void csv_cuts_nothing(void **state)
{
    char json[3000], *text;

    (void)state;
    (void)snprintf(json, sizeof(json), "[{\"a\": \"%02000d\"}]", 0);
    text = render(json, KV_OUTPUT_CSV, "A=a");
    assert_int_equal(strlen(text), strlen("A\r\n") + 2000 + strlen("\r\n"));
    free(text);
}

static void prints_json_that_reads_the_same(void **state)
{
    char *text = render(answer, KV_OUTPUT_JSON, columns);
    json_t *printed = json_loads(text, 0, NULL), *given = json_loads(answer, 0, NULL);

    (void)state;
    assert_true(json_equal(printed, given));
    json_decref(printed);
    json_decref(given);
    free(text);
}

static void finds_columns_by_itself(void **state)
{
    char *text = render("{\"a\": 1, \"b\": \"x\", \"c\": {}, \"d\": []}", KV_OUTPUT_TABLE, NULL);

    (void)state;
    assert_string_equal(text, "a  b\n1  x\n");
    free(text);
}

static void prints_plain_values_alone(void **state)
{
    char *text = render("[\"x\", \"y\"]", KV_OUTPUT_TSV, NULL);

    (void)state;
    assert_string_equal(text, "x\ny\n");
    free(text);
    text = render("[]", KV_OUTPUT_TABLE, NULL);
    assert_string_equal(text, "");
    free(text);
    text = render("[true, 7, null]", KV_OUTPUT_TSV, NULL);
    assert_string_equal(text, "true\n7\n\n");
    free(text);
}

/* A certificate request, or a secret, is longer than what fits a column. */
static void a_plain_value_is_whole_and_as_it_is(void **state)
{
    char json[3000], *text;

    (void)state;
    (void)snprintf(json, sizeof(json), "\"%02000d\\n\\u001b[2J\"", 0);
    text = render(json, KV_OUTPUT_TSV, NULL);
    assert_int_equal(strlen(text), 2000 + strlen("\n\x1b[2J\n"));
    assert_string_equal(text + 2000, "\n\x1b[2J\n");
    free(text);
    (void)snprintf(json, sizeof(json), "[\"%02000d\"]", 0);
    text = render(json, KV_OUTPUT_TSV, NULL);
    assert_int_equal(strlen(text), 2000 + strlen("\n"));
    free(text);
}

/* Of C0, DEL, C1, turned direction; what a list has is one line for each. */
static void what_others_chose_moves_no_cursor(void **state)
{
    static const char hostile[] =
        "[{\"a\": \"x\\u001b[2J\\u007f\\u009b1A\\u202ey\\r\\nz\", \"b\": [\"\\u2066\"]}]";
    char *text = render(hostile, KV_OUTPUT_TABLE, "A=a B=b C=c");

    (void)state;
    assert_string_equal(text, "A               B  C\nx [2J  1A y  z     \n");
    free(text);
    text = render(hostile, KV_OUTPUT_TSV, "A=a B=b");
    assert_string_equal(text, "x [2J  1A y  z\t \n");
    free(text);
    text = render(hostile, KV_OUTPUT_CSV, "A=a B=b");
    assert_string_equal(text, "A,B\r\nx [2J  1A y  z,\" \"\r\n");
    free(text);
    text = render("[\"a\\nb\", \"\\u001b\"]", KV_OUTPUT_TSV, NULL);
    assert_string_equal(text, "a b\n \n");
    free(text);
    text = render(hostile, KV_OUTPUT_JSON, NULL);
    assert_non_null(strstr(text, "\"x\\u001B[2J\\u007F\\u009B1A\\u202Ey\\r\\nz\""));
    free(text);
}

/* A server may say anything. */
/* One is "web" with a zero-width space, one Chinese, one has an accent apart. */
static void names_line_up_and_do_not_look_alike(void **state)
{
    static const char names[] = "[{\"n\": \"web\", \"v\": 1},"
                                " {\"n\": \"we\\u200bb\", \"v\": 2},"
                                " {\"n\": \"\\u4e2d\\u6587\", \"v\": 3},"
                                " {\"n\": \"cle\\u0301\", \"v\": 4}]";
    char *text = render(names, KV_OUTPUT_TABLE, "NAME=n V=v");

    (void)state;
    assert_string_equal(text, "NAME       V\n"
                              "web        1\n"
                              "we\\u200bb  2\n"
                              "\xe4\xb8\xad\xe6\x96\x87       3\n"
                              "cle\xcc\x81        4\n");
    free(text);
    text = render(names, KV_OUTPUT_TSV, "NAME=n V=v");
    assert_string_equal(text, "web\t1\nwe\xe2\x80\x8b"
                              "b\t2\n\xe4\xb8\xad\xe6\x96\x87\t3\ncle\xcc\x81\t4\n");
    free(text);
    text = render("[\"a,\\u200b\"]", KV_OUTPUT_CSV, NULL);
    assert_string_equal(text, "VALUE\r\n\"a,\xe2\x80\x8b\"\r\n");
    free(text);
}

static void times_that_are_none_are_numbers(void **state)
{
    char *text = render("[{\"s\": 9223372036854775807, \"ms\": -9223372036854775808},"
                        " {\"s\": 253402300799, \"ms\": 253402300799000},"
                        " {\"s\": 253402300800, \"ms\": 253402300799001}]",
                        KV_OUTPUT_TSV, "S=s:time MS=ms:ms");

    (void)state;
    assert_string_equal(text, "9223372036854775807\t-9223372036854775808\n"
                              "9999-12-31T23:59:59Z\t9999-12-31T23:59:59.000Z\n"
                              "253402300800\t253402300799001\n");
    free(text);
}

static void follows_paths(void **state)
{
    json_t *value = json_loads(answer, 0, NULL);

    (void)state;
    assert_string_equal(json_string_value(kv_json_at(value, "0.id.name")), "web");
    assert_string_equal(json_string_value(kv_json_at(value, "0.tags.1.value")), "d");
    assert_ptr_equal(kv_json_at(value, ""), value);
    assert_null(kv_json_at(value, "7.id"));
    assert_null(kv_json_at(value, "0.nope.name"));
    assert_null(kv_json_at(value, "x"));
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_columns),
        cmocka_unit_test(prints_values_with_tabs),
        cmocka_unit_test(prints_csv_with_a_head),
        cmocka_unit_test(formulas_are_text_in_csv),
        cmocka_unit_test(csv_cuts_nothing),
        cmocka_unit_test(prints_json_that_reads_the_same),
        cmocka_unit_test(finds_columns_by_itself),
        cmocka_unit_test(prints_plain_values_alone),
        cmocka_unit_test(a_plain_value_is_whole_and_as_it_is),
        cmocka_unit_test(what_others_chose_moves_no_cursor),
        cmocka_unit_test(names_line_up_and_do_not_look_alike),
        cmocka_unit_test(times_that_are_none_are_numbers),
        cmocka_unit_test(follows_paths),
    };

    kv_glyph_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
