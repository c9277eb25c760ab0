/* pb_contacts.c - ContactService. */
#include "keyvault/v1/contacts.pb-c.h"
#include "server/vault/messages/messages_notify.h"
#include "server/wire/pb_impl.h"

_Static_assert((int)KV_MAIL_MODE_EACH == KEYVAULT__V1__MAIL_MODE__MAIL_MODE_EACH &&
                   (int)KV_MAIL_MODE_DIGEST == KEYVAULT__V1__MAIL_MODE__MAIL_MODE_DIGEST,
               "the numbers of the .proto");

kv_status kv_pb_read_contacts_set(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    kv_contacts_set_in *read = in;
    const ProtobufCMessage *message;
    const Keyvault__V1__SetContactsRequest *m;
    kv_contact *contacts;

    KV_TRY(kv_pb_open(&keyvault__v1__set_contacts_request__descriptor, body,
                      KV_COLLECTION_CERTIFICATES, arena, &read->target, &message, err));
    m = (const void *)message;
    contacts = kv_arena_array(arena, m->n_contacts, sizeof(*contacts));
    if (!contacts)
        return kv_arena_full(err);
    for (size_t i = 0; i < m->n_contacts; i++)
        contacts[i] = (kv_contact){ .email = kv_slice_text(m->contacts[i]->email),
                                    .name = kv_slice_text(m->contacts[i]->name),
                                    .phone = kv_slice_text(m->contacts[i]->phone) };
    read->contacts = contacts;
    read->count = m->n_contacts;
    read->mode = (kv_mail_mode)m->mode;
    read->has_generation = m->has_generation_case != 0;
    read->generation = read->has_generation ? m->generation : 0;
    return KV_OK;
}

kv_status kv_pb_read_contacts_get(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__get_contacts_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_contacts_delete(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__delete_contacts_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_read_contacts_test(kv_slice body, kv_arena *arena, void *in, kv_error *err)
{
    return kv_pb_read_target(&keyvault__v1__test_contacts_request__descriptor, body,
                             KV_COLLECTION_CERTIFICATES, arena, in, err);
}

kv_status kv_pb_write_contacts(const void *out, kv_arena *arena, kv_slice *body, kv_error *err)
{
    const kv_contacts *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__Contacts to = KEYVAULT__V1__CONTACTS__INIT;

    to.vault = kv_pb_text(&writer, from->vault);
    to.contacts = kv_pb_array(&writer, from->count, sizeof(*to.contacts), &to.n_contacts);
    for (size_t i = 0; i < to.n_contacts; i++) {
        Keyvault__V1__Contact *contact = kv_pb_new(&writer, &keyvault__v1__contact__descriptor);

        to.contacts[i] = contact;
        if (!contact)
            continue;
        contact->email = kv_pb_text(&writer, from->items[i].email);
        contact->name = kv_pb_text(&writer, from->items[i].name);
        contact->phone = kv_pb_text(&writer, from->items[i].phone);
    }
    to.mode = (Keyvault__V1__MailMode)from->mode;
    to.generation = from->generation;
    to.created = kv_pb_seconds(from->created);
    to.updated = kv_pb_seconds(from->updated);
    return kv_pb_pack(&writer, &to.base, body, err);
}

kv_status kv_pb_write_contacts_tested(const void *out, kv_arena *arena, kv_slice *body,
                                      kv_error *err)
{
    const kv_contacts_tested *from = out;
    kv_pb_writer writer = { .arena = arena };
    Keyvault__V1__TestContactsResponse to = KEYVAULT__V1__TEST_CONTACTS_RESPONSE__INIT;

    to.tests = kv_pb_array(&writer, from->count, sizeof(*to.tests), &to.n_tests);
    for (size_t i = 0; i < to.n_tests; i++) {
        Keyvault__V1__ContactTest *test =
            kv_pb_new(&writer, &keyvault__v1__contact_test__descriptor);

        to.tests[i] = test;
        if (!test)
            continue;
        test->email = kv_pb_text(&writer, from->items[i].email);
        test->accepted = from->items[i].accepted;
        test->details = kv_pb_text(&writer, from->items[i].details);
    }
    return kv_pb_pack(&writer, &to.base, body, err);
}
