/* access_change.c - who is who and who may what: changes and lists. */
#include "server/auth/access.h"
#include "server/base/text.h"
#include "server/vault/access.h"
#include "server/vault/access/access_work.h"
#include "server/vault/vault_impl.h"

typedef struct committer {
    kv_vault *vault;
    kv_work *work;
    const char *step; /* NULL: the change is the outcome of the call */
    kv_warnings warnings;
} committer;

static kv_status commit(void *context, kv_change *change, kv_error *err)
{
    const committer *at = context;
    kv_slice before = at->work->entry->note;
    kv_status status;

    if (at->warnings.count)
        kv_note_text(at->work, KV_SLICE(" separation_of_duty=warned"));
    status = at->step ? kv_commit_step(at->vault, at->work, at->step, change, err)
                      : kv_commit_change(at->vault, at->work, change, err);
    /* The next attempt is warned by what is there then, or not. */
    if (status != KV_OK)
        at->work->entry->note = before;
    return status;
}

kv_status kv_access_work_of(kv_vault *vault, kv_work *work, kv_access_work *out, kv_error *err)
{
    return kv_access_step_of(vault, work, NULL, out, err);
}

kv_status kv_access_step_of(kv_vault *vault, kv_work *work, const char *operation,
                            kv_access_work *out, kv_error *err)
{
    committer *at = kv_arena_alloc(work->arena, sizeof(*at));

    if (!at)
        return kv_arena_full(err);
    *at = (committer){ .vault = vault, .work = work, .step = operation };
    *out = (kv_access_work){ .auth = vault->config.auth,
                             .caller = work->caller,
                             .now_ms = work->now_ms,
                             .arena = work->arena,
                             .commit = { .commit = commit, .context = at },
                             .warnings = &at->warnings };
    return KV_OK;
}

void kv_note_id(kv_work *work, const char *what, kv_slice id)
{
    char hex[2 * KV_PRINCIPAL_ID_BYTES + 1] = "";
    kv_error ignored = { 0 };
    kv_slice note;

    if (id.len == KV_PRINCIPAL_ID_BYTES)
        kv_hex(id, hex);
    if (kv_arena_print(work->arena, &note, &ignored, "%s%s=%s", work->entry->note.len ? " " : "",
                       what, hex) == KV_OK)
        kv_note_text(work, note);
}

void kv_note_text(kv_work *work, kv_slice text)
{
    kv_error ignored = { 0 };
    kv_slice both;

    if (kv_arena_print(work->arena, &both, &ignored, "%.*s%.*s", KV_SLICE_ARG(work->entry->note),
                       KV_SLICE_ARG(text)) == KV_OK)
        work->entry->note = both;
}

kv_status kv_principal_create(kv_vault *vault, kv_work *work, const kv_principal_create_in *in,
                              kv_principal *out, kv_error *err)
{
    kv_access_work access;

    work->entry->name = in->principal.name;
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_create_principal(&access, &in->principal, out, err);
}

kv_status kv_principal_get(kv_vault *vault, kv_work *work, const kv_principal_get_in *in,
                           kv_principal *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_get_principal(&access, in->id, out, err);
}

static kv_access_page page_of(const kv_page *page)
{
    return (kv_access_page){ .token = page->token, .size = page->size };
}

kv_status kv_principal_list_all(kv_vault *vault, kv_work *work, const kv_principal_list_in *in,
                                kv_principal_list *out, kv_error *err)
{
    kv_access_page page = page_of(&in->page);
    kv_access_work access;

    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_list_principals(&access, &page, out, err);
}

kv_status kv_principal_change(kv_vault *vault, kv_work *work, const kv_principal_update_in *in,
                              kv_principal *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->update.id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_update_principal(&access, &in->update, out, err);
}

kv_status kv_principal_delete(kv_vault *vault, kv_work *work, const kv_principal_delete_in *in,
                              kv_nothing_out *out, kv_error *err)
{
    kv_access_work access;

    *out = (kv_nothing_out){ 0 };
    kv_note_id(work, "principal", in->id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_delete_principal(&access, in->id, err);
}

static void note_federation(kv_work *work, const kv_federation_new *in)
{
    kv_error ignored = { 0 };
    kv_slice text;

    if (kv_arena_print(work->arena, &text, &ignored, " oidc=%.*s %.*s=%.*s",
                       KV_SLICE_ARG(in->provider), KV_SLICE_ARG(in->claim),
                       KV_SLICE_ARG(in->value)) == KV_OK)
        kv_note_text(work, text);
}

/* One of the two, whole. */
static kv_status check_credential(const kv_credential_add_in *in, kv_error *err)
{
    if (!in->federation.provider.len && in->federation.claim.len)
        return kv_fail_field(err, "claim", "needs a provider");
    if (in->federation.provider.len && in->mapping.ca_sha256.len)
        return kv_fail_field(err, "ca_sha256", "must be empty with a provider");
    if (in->federation.provider.len && in->mapping.name_type)
        return kv_fail_field(err, "name_type", "must be empty with a provider");
    return KV_OK;
}

kv_status kv_credential_add(kv_vault *vault, kv_work *work, const kv_credential_add_in *in,
                            kv_credential *out, kv_error *err)
{
    kv_access_work access;

    kv_note_id(work, "principal", in->mapping.principal_id);
    KV_TRY(check_credential(in, err));
    if (in->federation.provider.len)
        note_federation(work, &in->federation);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    if (in->federation.provider.len)
        return kv_access_add_federation(&access, &in->federation, out, err);
    return kv_access_add_mapping(&access, &in->mapping, out, err);
}

kv_status kv_management_certificate_add(kv_vault *vault, kv_work *work,
                                        const kv_management_certificate_add_in *in,
                                        kv_credential *out, kv_error *err)
{
    kv_access_work access;

    work->entry->vault = in->certificate.vault;
    kv_note_id(work, "principal", in->certificate.principal_id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    if (in->certificate.vault.len) {
        kv_vault_row row;

        KV_TRY(kv_find_vault(vault, work, in->certificate.vault, &row, err));
    }
    return kv_access_add_certificate(&access, &in->certificate, out, err);
}

kv_status kv_credential_list_all(kv_vault *vault, kv_work *work, const kv_credential_list_in *in,
                                 kv_credential_list *out, kv_error *err)
{
    kv_access_page page = page_of(&in->page);
    kv_access_work access;

    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_list_credentials(&access, in->principal_id, in->vault, &page, out, err);
}

kv_status kv_credential_remove(kv_vault *vault, kv_work *work, const kv_credential_remove_in *in,
                               kv_nothing_out *out, kv_error *err)
{
    kv_access_work access;

    *out = (kv_nothing_out){ 0 };
    kv_note_id(work, "credential", in->id);
    KV_TRY(kv_access_work_of(vault, work, &access, err));
    return kv_access_remove_credential(&access, in->id, err);
}
