/* known_logs.h - the logs of the seed "timestamps" of fuzz_certificate, as in the seed "log_list".
 * Both were made by tests/live/support/transparency.mjs. */
#pragma once

static const char known_logs[] =
    "{\"version\":\"100.1\",\"log_list_timestamp\":\"2026-11-20T12:00:00Z\",\"operators\":[{"
    "\"name\":\"Ant\",\"email\":[],\"tiled_logs\":[],\"logs\":[{\"description\":\"Ant 2026\","
    "\"log_id\":\"/QVQHJCoJsG9NbJ/LV/zOVNyZKM5ysX1sDXs22fcyAQ=\",\"key\":\"MFkwEwYHKoZIzj0CAQ"
    "YIKoZIzj0DAQcDQgAE7KKiWoF6tG7HUaSh7AHyjZ3Av84tTtkIZPg8wQc0aIrp2EAQh/XLc7aq86OOMIq2V9hsaQ"
    "lwBCF9e/80wvRHwQ==\",\"url\":\"https://log.example.org/\",\"mmd\":86400,\"state\":{\"usa"
    "ble\":{\"timestamp\":\"2020-01-01T00:00:00Z\"}}}]},{\"name\":\"Bee\",\"email\":[],\"tile"
    "d_logs\":[],\"logs\":[{\"description\":\"Bee 2026\",\"log_id\":\"4amDeV5iwzcnIQH/8rlL5Rv"
    "uzcL+p5HVOgHkxNTGNGc=\",\"key\":\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEz0qFg742iBvG3c6UU9"
    "F3DcDxhrv4KVURZv68VBJBXanLhIVuzc1K92rmYphgdwAIbl8nZEOEq9Y23qKbxR3NSQ==\",\"url\":\"https"
    "://log.example.org/\",\"mmd\":86400,\"state\":{\"usable\":{\"timestamp\":\"2020-01-01T00"
    ":00:00Z\"}}}]}]}";
