/* memory_board.c - a board of one notice, in memory. */
#include "tests/unit/challenge/memory_board.h"

#include <stdio.h>

static void copy(char *out, size_t size, kv_slice from)
{
    (void)snprintf(out, size, "%.*s", KV_SLICE_ARG(from));
}

static kv_status post(void *context, const kv_challenge_notice *notice, kv_error *err)
{
    memory_board *memory = context;

    (void)err;
    memory->posted++;
    copy(memory->type, sizeof(memory->type), notice->type);
    copy(memory->asked, sizeof(memory->asked), notice->asked);
    copy(memory->says, sizeof(memory->says), notice->says);
    return KV_OK;
}

static bool there(const memory_board *memory, const kv_challenge_notice *notice)
{
    return kv_slice_equal(kv_slice_text(memory->type), notice->type) &&
           kv_slice_equal(kv_slice_text(memory->asked), notice->asked);
}

static kv_status find(void *context, kv_challenge_notice *notice, kv_arena *arena, kv_error *err)
{
    memory_board *memory = context;

    memory->looked++;
    if (!there(memory, notice))
        return kv_fail(err, KV_NOT_FOUND, "not there");
    return kv_arena_copy(arena, kv_slice_text(memory->says), &notice->says, err);
}

static kv_status take_down(void *context, const kv_challenge_notice *notice, kv_error *err)
{
    memory_board *memory = context;

    (void)err;
    if (there(memory, notice))
        memory->type[0] = '\0';
    return KV_OK;
}

void memory_board_open(memory_board *memory)
{
    *memory = (memory_board){ .board = { post, find, take_down, memory } };
}
