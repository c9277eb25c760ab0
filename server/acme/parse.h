/* parse.h - what readers of messages share. Inner to this folder. */
#pragma once

#include "server/acme/json.h"
#include "server/acme/problem.h"

/* A problem that stands in an object. */
kv_status kv_acme_problem_of(kv_arena *arena, const json_t *json, kv_acme_problem *out,
                             kv_error *err) KV_MUST_USE;
