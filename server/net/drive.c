/* drive.c - one transfer of libcurl, watched. */
#include "server/net/drive.h"

enum { LOOK_MS = 100 };

bool kv_curl_set(CURL *easy, const kv_curl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CURLcode code = options[i].text
                            ? curl_easy_setopt(easy, options[i].name, options[i].text)
                            : curl_easy_setopt(easy, options[i].name, options[i].number);

        if (code != CURLE_OK)
            return false;
    }
    return true;
}

static bool stopped(const kv_drive *drive)
{
    return (drive->stops[0] && atomic_load(drive->stops[0])) ||
           (drive->stops[1] && atomic_load(drive->stops[1]));
}

kv_status kv_curl_drive(const kv_drive *drive, CURLcode *code, kv_error *err)
{
    const CURLMsg *message;
    int running = 1, left = 0;

    for (;;) {
        int64_t ms = kv_deadline_left_ms(drive->deadline);

        if (stopped(drive))
            return kv_fail(err, KV_CANCELLED, "the server is stopping");
        if (ms == 0)
            return kv_fail(err, KV_TIMEOUT, "%.100s did not answer in time", drive->host);
        if (curl_multi_perform(drive->multi, &running) != CURLM_OK)
            return kv_fail(err, KV_BUSY, "out of memory");
        if (!running)
            break;
        (void)curl_multi_poll(drive->multi, NULL, 0, ms < LOOK_MS ? (int)ms : LOOK_MS, NULL);
    }
    message = curl_multi_info_read(drive->multi, &left);
    *code = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
    return KV_OK;
}
