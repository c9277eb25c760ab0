/* memory_board.h - a board of one notice, in memory. */
#pragma once

#include "server/challenge/board.h"

typedef struct memory_board {
    kv_challenge_board board;
    char type[32];
    char asked[256];
    char says[512];
    unsigned posted;
    unsigned looked;
} memory_board;

void memory_board_open(memory_board *memory);
