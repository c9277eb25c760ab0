#!/usr/bin/env python3
"""make_seeds.py - writes the seeds of fuzz_token: a tour that is told the truth, and a few lies in
each place of it.

The order of FUNCTIONS, kinds, edges and STEPS is that of lying_token.c, lying_token.h, fuzz_token.c
and token_tour.c; a seed that is out of date still runs, but tells other lies.
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = """Initialize Finalize GetSlotList GetTokenInfo GetMechanismList OpenSession
CloseSession Login CreateObject CopyObject DestroyObject GetAttributeValue
SetAttributeValue FindObjectsInit FindObjects FindObjectsFinal SignInit Sign
EncryptInit Encrypt DecryptInit Decrypt GenerateKey GenerateKeyPair WrapKey
UnwrapKey GenerateRandom""".split()
REFUSE, DISOWN, IDLE, LENGTH, BEYOND, OFF, BYTES, FLIP, HANDLE, POINTER = range(10)
EDGES, ZERO, ONE, BATCH_AND_ONE, HUGE = 54, 0, 1, 25, 53
GENERAL_ERROR = 4  # row of pkcs11/rv.c
STEPS = 26
WHILE_OPENING, AFTERWARDS = 1, 0
EVER = 0


def lie(function, first, times, kind, value):
    """`value` is an index: of an edge, a code, or the value itself for bytes and bits."""
    which = FUNCTIONS.index(function) if function else len(FUNCTIONS)
    return bytes([which, first - 1, times, kind, value >> 8 & 0xfe, value & 0xff])


def seed(name, lies, when=AFTERWARDS, steps=range(STEPS)):
    with open(os.path.join(HERE, "corpus", "fuzz_token", name), "wb") as out:
        out.write(bytes([when, len(steps), *steps]) + b"".join(lies))


def each_kind(function, distance):
    values = {REFUSE: GENERAL_ERROR, DISOWN: GENERAL_ERROR, IDLE: ZERO, LENGTH: HUGE, BEYOND: ONE,
              OFF: ONE, BYTES: 0xff, FLIP: 3, HANDLE: ZERO, POINTER: ZERO}
    return [lie(function, 1 + kind * distance, 1, kind, value) for kind, value in values.items()]


seed("truth", [], WHILE_OPENING)
for each in FUNCTIONS:
    seed(f"each_kind_{each}", each_kind(each, 3))
for each in ("FindObjects", "GetAttributeValue", "Sign", "Encrypt", "Decrypt", "WrapKey"):
    seed(f"beyond_{each}", [lie(each, 1, EVER, BEYOND, BATCH_AND_ONE)])
for each in FUNCTIONS[:FUNCTIONS.index("SignInit")]:
    for kind, value in ((LENGTH, HUGE), (BEYOND, ONE), (BYTES, 0x41), (IDLE, ZERO), (HANDLE, ZERO)):
        if each.startswith("Get") or kind in (IDLE, HANDLE):
            seed(f"opening_{each}_{kind}", [lie(each, 1, EVER, kind, value)], WHILE_OPENING, [0, 1])
seed("found_for_ever", [lie("FindObjects", 1, EVER, BYTES, 1)])
seed("all_refused_late", [lie(None, 60, EVER, REFUSE, GENERAL_ERROR)])
seed("all_idle", [lie(None, 30, EVER, IDLE, ZERO)])
