/* postman.c - builds a mail and hands it over. */
#include "server/notify/postman.h"

#include "server/net/mail.h"

kv_status kv_postman_send(const kv_postman *postman, const kv_letter *mail, kv_deadline deadline,
                          kv_arena *arena, kv_error *err)
{
    kv_letter whole = *mail;
    kv_mail_send send = { .from = postman->from, .to_count = 1, .deadline = deadline };
    const char *to;

    whole.from = kv_slice_text(postman->from);
    whole.from_name = kv_slice_text(postman->from_name);
    whole.domain = kv_slice_text(postman->domain);
    KV_TRY(kv_letter_build(arena, &whole, &send.message, err));
    KV_TRY(kv_arena_text(arena, mail->to, &to, err));
    send.to = &to;
    return kv_mailer_send(postman->mailer, &send, err);
}

kv_status kv_postman_check(const kv_postman *postman, kv_deadline deadline, kv_error *err)
{
    return kv_mailer_check(postman->mailer, deadline, err);
}
