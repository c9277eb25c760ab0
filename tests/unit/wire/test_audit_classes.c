/* test_audit_classes.c - every field that a request can carry says what the audit log keeps of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "tests/support/kv_cmocka.h"

/* As in keyvault/v1/audit_options.proto. */
enum { AUDIT_OPTION = 50401, OMITTED = 3, CLASS_MAX = 3 };
enum { MESSAGES_MAX = 256 };

typedef struct reachable {
    const Google__Protobuf__DescriptorProto *messages[MESSAGES_MAX];
    size_t count;
} reachable;

static Google__Protobuf__FileDescriptorSet *load(void)
{
    FILE *file = fopen(KV_PROTOSET, "rbe");
    enum { LARGEST = 1024 * 1024 };
    uint8_t *bytes = malloc(LARGEST);
    Google__Protobuf__FileDescriptorSet *set;
    size_t len;

    assert_non_null(file);
    assert_non_null(bytes);
    len = fread(bytes, 1, LARGEST, file);
    assert_int_equal(fclose(file), 0);
    assert_true(len > 0 && len < LARGEST);
    set = google__protobuf__file_descriptor_set__unpack(NULL, len, bytes);
    free(bytes);
    assert_non_null(set);
    return set;
}

/* By full name: ".keyvault.v1.Tag". */
static const Google__Protobuf__DescriptorProto *
message_named(const Google__Protobuf__FileDescriptorSet *set, const char *name)
{
    for (size_t f = 0; f < set->n_file; f++)
        for (size_t m = 0; m < set->file[f]->n_message_type; m++) {
            char full[256];

            (void)snprintf(full, sizeof(full), ".%s.%s", set->file[f]->package,
                           set->file[f]->message_type[m]->name);
            if (!strcmp(full, name))
                return set->file[f]->message_type[m];
        }
    fail_msg("%s is not in the descriptor set", name);
    return NULL;
}

static void add(reachable *all, const Google__Protobuf__DescriptorProto *message)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->messages[i] == message)
            return;
    assert_true(all->count < MESSAGES_MAX);
    all->messages[all->count++] = message;
}

static void find_reachable(const Google__Protobuf__FileDescriptorSet *set, reachable *all)
{
    for (size_t f = 0; f < set->n_file; f++)
        for (size_t s = 0; s < set->file[f]->n_service; s++)
            for (size_t m = 0; m < set->file[f]->service[s]->n_method; m++)
                add(all, message_named(set, set->file[f]->service[s]->method[m]->input_type));
    for (size_t i = 0; i < all->count; i++)
        for (size_t f = 0; f < all->messages[i]->n_field; f++)
            if (all->messages[i]->field[f]->type ==
                GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE)
                add(all, message_named(set, all->messages[i]->field[f]->type_name));
}

/* protobuf-c keeps an option it does not know as an unknown field. 0: unclassified. */
static unsigned class_of(const Google__Protobuf__FieldDescriptorProto *field)
{
    if (!field->options)
        return 0;
    for (unsigned i = 0; i < field->options->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *option = &field->options->base.unknown_fields[i];

        if (option->tag == AUDIT_OPTION && option->len == 1)
            return option->data[0];
    }
    return 0;
}

static void every_field_of_every_request_has_a_class(void **state)
{
    Google__Protobuf__FileDescriptorSet *set = load();
    reachable all = { .count = 0 };
    unsigned fields = 0;

    (void)state;
    find_reachable(set, &all);
    assert_true(all.count > 60);
    for (size_t i = 0; i < all.count; i++)
        for (size_t f = 0; f < all.messages[i]->n_field; f++, fields++) {
            unsigned class = class_of(all.messages[i]->field[f]);

            if (class == 0 || class > CLASS_MAX)
                fail_msg("%s.%s has no (audit) class", all.messages[i]->name,
                         all.messages[i]->field[f]->name);
        }
    assert_true(fields > 150);
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

static void what_is_secret_is_never_recorded(void **state)
{
    static const char *const secret[][2] = {
        { "SetSecretRequest", "value" },   { "GetSecretRequest", "pfx_password" },
        { "EncryptRequest", "plaintext" }, { "ImportKeyRequest", "pkcs8" },
        { "ImportKeyRequest", "key" },     { "PrivateJsonWebKey", "d" },
        { "PrivateJsonWebKey", "p" },      { "PrivateJsonWebKey", "q" },
        { "PrivateJsonWebKey", "dp" },     { "PrivateJsonWebKey", "dq" },
        { "PrivateJsonWebKey", "qi" },     { "PrivateJsonWebKey", "k" },
        { "WrapKeyRequest", "plaintext" },
    };
    Google__Protobuf__FileDescriptorSet *set = load();

    (void)state;
    for (size_t i = 0; i < KV_COUNT(secret); i++) {
        const Google__Protobuf__DescriptorProto *message;
        unsigned found = 0;
        char name[128];

        (void)snprintf(name, sizeof(name), ".keyvault.v1.%s", secret[i][0]);
        message = message_named(set, name);
        for (size_t f = 0; f < message->n_field; f++)
            if (!strcmp(message->field[f]->name, secret[i][1])) {
                assert_int_equal(class_of(message->field[f]), OMITTED);
                found++;
            }
        assert_int_equal(found, 1);
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

/* protobuf-c has no limit of its own on nesting. */
static void no_request_can_contain_itself(void **state)
{
    Google__Protobuf__FileDescriptorSet *set = load();

    (void)state;
    for (size_t f = 0; f < set->n_file; f++)
        for (size_t m = 0; m < set->file[f]->n_message_type; m++) {
            reachable inside = { .count = 0 };
            const Google__Protobuf__DescriptorProto *start = set->file[f]->message_type[m];

            inside.messages[inside.count++] = start;
            for (size_t i = 0; i < inside.count; i++)
                for (size_t n = 0; n < inside.messages[i]->n_field; n++) {
                    const Google__Protobuf__FieldDescriptorProto *field =
                        inside.messages[i]->field[n];

                    if (field->type != GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE)
                        continue;
                    if (message_named(set, field->type_name) == start)
                        fail_msg("%s can contain itself", start->name);
                    add(&inside, message_named(set, field->type_name));
                }
        }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_every_request_has_a_class),
        cmocka_unit_test(what_is_secret_is_never_recorded),
        cmocka_unit_test(no_request_can_contain_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
