/* fuzz_answer.c - what a hostile server answers, as the client library and kvctl read it.
 *
 * The first line says what is answered: the path of a method ("/keyvault.v1.KeyService/GetKey"),
 * then the message follows; "failed", then google.rpc.Status; or "roles", then answers to WhoAmI
 * and IssueRoleToken as they are asked for, each behind two bytes of length. Whatever it is, what
 * is printed of it does nothing to a terminal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/message.h"
#include "client/cli/render.h"
#include "client/client_private.h"

enum { PATH_BYTES = 96, PATIENCE_MS = 60000, ASKED = 4, LENGTH_BYTES = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

/* --- what is printed --- */

/* The bytes of what a terminal would obey, apart from line ends and tabs. */
static bool steers(const unsigned char *at)
{
    return (at[0] < 0x20 && !strchr("\n\t", at[0])) || at[0] == 0x7f ||
           (at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xd8 && at[1] == 0x9c) ||
           (at[0] == 0xe2 && at[1] == 0x80 &&
            (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae))) ||
           (at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9);
}

typedef struct page {
    FILE *out;
    char *text;
    size_t len;
} page;

static void open_page(page *it)
{
    it->out = open_memstream(&it->text, &it->len);
    must(it->out != NULL, "no memory");
}

/* `lines` that kvctl wrote; -1: any number. CSV ends its lines with \r\n. */
static void close_page(page *it, int lines, bool csv)
{
    json_t *valid;
    int ends = 0;

    (void)fclose(it->out);
    must(strlen(it->text) == it->len, "a NUL was printed");
    for (const unsigned char *at = (const unsigned char *)it->text; *at; at++) {
        must((csv && at[0] == '\r' && at[1] == '\n') || !steers(at), "it speaks to the terminal");
        ends += *at == '\n';
    }
    must(lines < 0 || ends == lines, "a text began a line");
    valid = json_string(it->text);
    must(valid != NULL, "it is not UTF-8");
    json_decref(valid);
    free(it->text);
}

/* --- the end of a call --- */

static void print_failure(const keyvault_error *err)
{
    page it;

    open_page(&it);
    (void)kv_cli_fail(&(kv_cli){ .err = it.out }, err);
    close_page(&it, 3 + (err->field[0] != 0) + (err->retry_ms != 0), false);
}

static void read_failure(kv_slice details)
{
    keyvault_error err;

    must(kv_failure_from_server(&err, KV_CODE_NOT_FOUND, "no", details) == KV_CODE_NOT_FOUND &&
             err.code == KV_CODE_NOT_FOUND,
         "the details changed the code");
    must(memchr(err.message, 0, sizeof(err.message)) && memchr(err.reason, 0, sizeof(err.reason)) &&
             memchr(err.field, 0, sizeof(err.field)),
         "a text has no end");
    print_failure(&err);
}

/* --- a message --- */

static int lines_of(kv_output output, const json_t *value)
{
    size_t rows = json_is_array(value) ? json_array_size(value) : 1;
    bool table = json_is_object(json_is_array(value) ? json_array_get(value, 0) : value);

    return (int)rows + (output == KV_OUTPUT_CSV || (output == KV_OUTPUT_TABLE && table));
}

static void print_json(const json_t *value)
{
    json_t *again;
    page it;

    open_page(&it);
    kv_render(it.out, KV_OUTPUT_JSON, NULL, value);
    (void)fflush(it.out);
    again = json_loads(it.text, 0, NULL);
    must(json_equal(value, again), "JSON reads as something else");
    json_decref(again);
    close_page(&it, -1, false);
}

static void print(const json_t *value)
{
    static const char *const columns[] = { NULL,
                                           "N=id.name K=kind:KEY_TYPE_ C=attributes.created:time "
                                           "E=expires:time T=timeMs:ms X=thumbprint:hex G=tags "
                                           "R=roles:ROLE_ V=value:hex S=sans.dnsNames" };

    print_json(value);
    for (kv_output output = KV_OUTPUT_TABLE; output <= KV_OUTPUT_CSV; output++)
        for (size_t i = 0; i < KV_COUNT(columns); i++) {
            page it;

            open_page(&it);
            kv_render(it.out, output, columns[i], value);
            close_page(&it, lines_of(output, value), output == KV_OUTPUT_CSV);
        }
}

static void print_all(const json_t *object)
{
    const char *name;
    json_t *value;

    print(object);
    json_object_foreach((json_t *)(uintptr_t)object, name, value) if (json_is_array(value))
        print(value);
}

static void read_message(const char *path, kv_slice bytes)
{
    ProtobufCMessage *message = NULL;
    keyvault_error err;
    kv_method method;
    json_t *json;

    if (!kv_method_find(path, &method) ||
        kv_client_unpack(method.output, bytes, &message, &err) != 0)
        return;
    must(protobuf_c_message_check(message), "what was read is not whole");
    json = kv_message_json(message);
    if (json)
        print_all(json);
    json_decref(json);
    keyvault_message_free(message);
}

/* --- role tokens --- */

typedef struct server {
    kv_slice answers;
    unsigned given, failed;
} server;

static kv_slice next_answer(server *it)
{
    kv_slice bytes = it->answers;
    size_t len = (size_t)bytes.data[0] << 8 | bytes.data[1];

    bytes = kv_slice_of(bytes.data + LENGTH_BYTES, bytes.len - LENGTH_BYTES);
    len = len < bytes.len ? len : bytes.len;
    it->answers = kv_slice_of(bytes.data + len, bytes.len - len);
    return kv_slice_of(bytes.data, len);
}

static kv_status answer(void *context, const kv_channel_request *request, kv_channel_done *done,
                        void *done_context, kv_error *err)
{
    server *it = context;
    kv_channel_result result = { 0 };

    (void)request;
    if (it->answers.len < LENGTH_BYTES)
        return kv_fail(err, KV_UNAVAILABLE, "the server is gone");
    result.message = next_answer(it);
    done(done_context, &result, err);
    return KV_OK;
}

static void got(void *context, kv_slice token, const keyvault_error *err)
{
    server *it = context;

    must(err->code ? !token.len : token.len > 0, "a success without a token, or the reverse");
    if (err->code)
        it->failed++;
    else
        it->given++;
}

static void read_roles(kv_slice answers)
{
    server it = { .answers = answers };
    const kv_role_tokens_config config = { .send = answer, .context = &it };
    kv_role_tokens *tokens = NULL;
    keyvault_error err;

    must(kv_role_tokens_new(&config, &tokens, &err) == 0, "no memory");
    for (unsigned i = 0; i < ASKED; i++)
        kv_role_tokens_get(tokens, i % 2 ? "/vaults/shop/secrets/web" : "/vaults/shop",
                           kv_deadline_in_ms(PATIENCE_MS), got, &it);
    must(it.given + it.failed == ASKED, "somebody was not told");
    kv_role_tokens_free(tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    char path[PATH_BYTES];
    kv_slice rest;

    if (!end || end - data >= PATH_BYTES)
        return 0;
    (void)snprintf(path, sizeof(path), "%.*s", (int)(end - data), (const char *)data);
    rest = kv_slice_of(end + 1, size - (size_t)(end + 1 - data));
    if (!strcmp(path, "failed"))
        read_failure(rest);
    else if (!strcmp(path, "roles"))
        read_roles(rest);
    else
        read_message(path, rest);
    return 0;
}
