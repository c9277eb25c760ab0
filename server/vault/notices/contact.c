/* contact.c - the contacts of a vault: people who get mail about its certificates. */
#include <stdio.h>

#include "server/base/text.h"
#include "server/notify/postman.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/notices/contact_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"

enum { TEXTS_PER_CONTACT = 3, TEST_MS = 15000 };

static kv_status begin(kv_vault *vault, kv_work *work, const kv_target *target, kv_vault_row *out,
                       kv_error *err)
{
    work->entry->collection = KV_SLICE("contacts");
    return kv_find_vault(vault, work, target->vault, out, err);
}

kv_status kv_contacts_find(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_contacts_row *out,
                           bool *exists, kv_error *err)
{
    kv_contacts_row row = { .vault_uid = vault_uid };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_contacts, &row, work->arena, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (!*exists)
        *err = (kv_error){ 0 };
    *out = row;
    return KV_OK;
}

kv_status kv_contacts_of(kv_work *work, const kv_vault_row *vault_row, const kv_contacts_row *row,
                         kv_contacts *out, kv_error *err)
{
    kv_contact *items;
    kv_x509_list texts;
    size_t count;

    KV_TRY(kv_texts_load(work, row->contacts, &texts, err));
    count = texts.count / TEXTS_PER_CONTACT;
    items = kv_arena_array(work->arena, count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++) {
        const kv_slice *of = texts.items + TEXTS_PER_CONTACT * i;

        items[i] = (kv_contact){ of[0], of[1], of[2] };
    }
    *out = (kv_contacts){ .vault = vault_row->display_name,
                          .items = items,
                          .count = count,
                          .mode = row->digest ? KV_MAIL_MODE_DIGEST : KV_MAIL_MODE_EACH,
                          .generation = row->head.generation,
                          .created = row->created,
                          .updated = row->updated };
    return KV_OK;
}

/* --- setting --- */

static kv_status check_text(kv_slice text, size_t most, size_t at, const char *member,
                            kv_error *err)
{
    char field[64];

    (void)snprintf(field, sizeof(field), "contacts[%zu].%s", at, member);
    if (text.len > most)
        return kv_fail_field(err, field, "has at most %zu bytes", most);
    /* They end up in headers of mail. */
    return kv_text_printable(text)
               ? KV_OK
               : kv_fail_field(err, field, "must be UTF-8 without control characters");
}

static kv_status check_contact(const kv_contacts_set_in *in, size_t at, kv_error *err)
{
    const kv_contact *contact = &in->contacts[at];
    char field[64];

    (void)snprintf(field, sizeof(field), "contacts[%zu].email", at);
    KV_TRY(kv_mail_address_check(contact->email, field, err));
    KV_TRY(check_text(contact->name, KV_CONTACT_NAME_MAX, at, "name", err));
    KV_TRY(check_text(contact->phone, KV_CONTACT_PHONE_MAX, at, "phone", err));
    for (size_t i = 0; i < at; i++)
        if (kv_text_equal_nocase(contact->email, in->contacts[i].email))
            return kv_fail_field(err, field, "is there twice");
    return KV_OK;
}

static kv_status store_contacts(kv_work *work, const kv_contacts_set_in *in, kv_slice *out,
                                kv_error *err)
{
    kv_slice *texts = kv_arena_array(work->arena, in->count * TEXTS_PER_CONTACT, sizeof(*texts));

    if (!texts)
        return kv_arena_full(err);
    if (!in->count)
        return kv_fail_field(err, "contacts", "are required; DeleteContacts takes all away");
    if (in->count > KV_CONTACTS_MAX)
        return kv_fail_field(err, "contacts", "has at most %d elements", KV_CONTACTS_MAX);
    for (size_t i = 0; i < in->count; i++) {
        KV_TRY(check_contact(in, i, err));
        texts[TEXTS_PER_CONTACT * i] = in->contacts[i].email;
        texts[TEXTS_PER_CONTACT * i + 1] = in->contacts[i].name;
        texts[TEXTS_PER_CONTACT * i + 2] = in->contacts[i].phone;
    }
    return kv_texts_store(
        work, &(kv_x509_list){ .items = texts, .count = in->count * TEXTS_PER_CONTACT }, out, err);
}

kv_status kv_vault_contacts_set(kv_vault *vault, kv_work *work, const kv_contacts_set_in *in,
                                kv_contacts *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_contacts_row row;
    bool exists = false;

    KV_TRY(begin(vault, work, &in->target, &vault_row, err));
    KV_TRY(kv_contacts_find(vault, work, vault_row.uid, &row, &exists, err));
    if (in->has_generation && in->generation != row.head.generation)
        return kv_fail(err, KV_CONFLICT, "the contacts were changed meanwhile");
    KV_TRY(store_contacts(work, in, &row.contacts, err));
    if (in->mode)
        row.digest = in->mode == KV_MAIL_MODE_DIGEST;
    row.updated = work->now_ms;
    if (exists) {
        KV_TRY(kv_change_update(&change, &kv_table_contacts, &row, err));
    } else {
        row.created = work->now_ms;
        KV_TRY(kv_change_insert(&change, &kv_table_contacts, &row, err));
    }
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    return kv_contacts_of(work, &vault_row, &row, out, err);
}

/* --- the others --- */

static kv_status find(kv_vault *vault, kv_work *work, const kv_target *target,
                      kv_vault_row *vault_row, kv_contacts_row *row, kv_error *err)
{
    bool exists = false;

    KV_TRY(begin(vault, work, target, vault_row, err));
    KV_TRY(kv_contacts_find(vault, work, vault_row->uid, row, &exists, err));
    return exists ? KV_OK : kv_fail(err, KV_NOT_FOUND, "this vault has no contacts");
}

kv_status kv_vault_contacts_get(kv_vault *vault, kv_work *work, const kv_contacts_get_in *in,
                                kv_contacts *out, kv_error *err)
{
    kv_vault_row vault_row;
    kv_contacts_row row;

    KV_TRY(find(vault, work, &in->target, &vault_row, &row, err));
    return kv_contacts_of(work, &vault_row, &row, out, err);
}

kv_status kv_vault_contacts_delete(kv_vault *vault, kv_work *work, const kv_contacts_delete_in *in,
                                   kv_contacts *out, kv_error *err)
{
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_contacts_row row;

    KV_TRY(find(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_contacts_of(work, &vault_row, &row, out, err));
    KV_TRY(kv_change_delete(&change, &kv_table_contacts, &row, err));
    return kv_lost_race(kv_commit_change(vault, work, &change, err), err);
}

kv_status kv_contacts_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_error *err)
{
    kv_change change = { 0 };
    kv_contacts_row row;
    bool exists = false;

    KV_TRY(kv_contacts_find(vault, work, vault_uid, &row, &exists, err));
    if (!exists)
        return KV_OK;
    KV_TRY(kv_change_delete(&change, &kv_table_contacts, &row, err));
    return kv_commit_step(vault, work, "VaultPurgeContacts", &change, err);
}

/* --- a mail to try --- */

static kv_status test_one(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          const kv_contact *contact, size_t at, kv_contact_tested *out,
                          kv_error *err)
{
    int64_t left_ms = kv_deadline_left_ms(work->deadline);
    kv_letter mail = { .to = contact->email, .to_name = contact->name, .date_ms = work->now_ms };
    char id[2 * sizeof(work->entry->request_id) + 1];
    kv_status status;

    kv_hex(kv_slice_of(work->entry->request_id, sizeof(work->entry->request_id)), id);
    KV_TRY(kv_arena_print(work->arena, &mail.id, err, "test.%s.%zu", id, at));
    KV_TRY(kv_arena_print(work->arena, &mail.subject, err, "[%.*s] Test mail",
                          KV_SLICE_ARG(vault_row->display_name)));
    KV_TRY(kv_arena_print(
        work->arena, &mail.text, err,
        "This is a test.\n\nYou are a contact of the vault %.*s: mail about its certificates "
        "comes to this address.\n",
        KV_SLICE_ARG(vault_row->display_name)));
    status =
        kv_postman_send(vault->config.notify.postman, &mail,
                        kv_deadline_in_ms(left_ms < TEST_MS ? left_ms : TEST_MS), work->arena, err);
    *out = (kv_contact_tested){ .email = contact->email, .accepted = status == KV_OK };
    if (status == KV_OK || status == KV_CANCELLED || status == KV_BUSY)
        return status;
    /* That it was not taken is the answer. */
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(err->message), &out->details, err));
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_vault_contacts_test(kv_vault *vault, kv_work *work, const kv_contacts_test_in *in,
                                 kv_contacts_tested *out, kv_error *err)
{
    kv_contact_tested *items;
    kv_vault_row vault_row;
    kv_contacts_row row;
    kv_contacts contacts;

    KV_TRY(find(vault, work, &in->target, &vault_row, &row, err));
    if (!vault->config.notify.postman)
        return kv_fail(err, KV_PRECONDITION, "this server sends no mail: see [smtp] host");
    KV_TRY(kv_contacts_of(work, &vault_row, &row, &contacts, err));
    items = kv_arena_array(work->arena, contacts.count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < contacts.count; i++)
        KV_TRY(test_one(vault, work, &vault_row, &contacts.items[i], i, &items[i], err));
    *out = (kv_contacts_tested){ .items = items, .count = contacts.count };
    return KV_OK;
}
