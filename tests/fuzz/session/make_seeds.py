#!/usr/bin/env python3
"""make_seeds.py - writes the seeds of fuzz_session: honest and hostile frames of both sides."""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../live/transport"))
from attack import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING,
                    PREFACE, PRIORITY, RST, SETTINGS, WINDOW, frame, grpc, literal, request)

ANSWER = literal(":status", "200") + literal("content-type", "application/grpc")
OK = literal("grpc-status", "0")
BAD = literal("grpc-status", "3") + literal("grpc-message", "na%C3%AFve") + literal(
    "grpc-status-details-bin", "CAMSBW5v")
SEEDS = {
    "call": (0, frame(HEADERS, END_HEADERS, 1, request("/a/B")) + frame(
        DATA, END_STREAM, 1, grpc(b"hi"))),
    "refused": (0, frame(HEADERS, END_HEADERS, 1, request("/a/B", [
        ("authorization", "Bearer x"), ("grpc-timeout", "5S")])) + frame(
            DATA, END_STREAM, 1, grpc(b"\x01i"))),
    "two_pieces": (0, frame(HEADERS, 0, 1, request("/a/B")[:20]) + frame(
        CONTINUATION, END_HEADERS, 1, request("/a/B")[20:]) + frame(DATA, 0, 1, grpc(b"hello")[:4])
        + frame(DATA, END_STREAM | PADDED, 1, b"\x02" + grpc(b"hello")[4:] + b"\0\0")),
    "reset": (0, frame(HEADERS, END_HEADERS, 1, request("/a/B")) + frame(RST, 0, 1, bytes(4)) +
              frame(HEADERS, END_HEADERS, 3, request("/a/B")) + frame(WINDOW, 0, 3, bytes(4))),
    "not_grpc": (0, frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/", method="GET")) +
                 frame(HEADERS, END_HEADERS, 3, request("/a/B", content_type="text/plain"))),
    "control": (0, frame(PING, 0, 0, bytes(8)) + frame(PRIORITY, 0, 1, bytes(5)) + frame(
        0xfb, 0, 0, b"x") + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + frame(GOAWAY, 0, 0, bytes(8))),
    "shut_window": (0, frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0") + frame(
        HEADERS, END_HEADERS, 1, request("/a/B")) + frame(DATA, END_STREAM, 1, grpc(b"x")) + frame(
            WINDOW, 0, 1, b"\0\0\x10\0")),
    "limits": (0, frame(HEADERS, END_HEADERS, 1, request("/a/B", [("x", "y" * 3000)])) + frame(
        HEADERS, END_HEADERS, 3, request("/a/B")) + frame(DATA, 0, 3, b"\0\0\1\0\0")),
    "preface": (2, PREFACE + frame(SETTINGS, 0, 0)),
    "http1": (2, b"GET / HTTP/1.1\r\n\r\n"),
    "answer": (1, frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, ANSWER) + frame(
        DATA, 0, 1, grpc(b"yes")) + frame(HEADERS, END_HEADERS | END_STREAM, 1, OK)),
    "answers_held": (1, frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 3, ANSWER) + frame(
        DATA, 0, 3, grpc(b"one") + grpc(b"two")) + frame(
            HEADERS, END_HEADERS | END_STREAM, 3, OK)),
    "error": (1, frame(SETTINGS, 0, 0) + frame(
        HEADERS, END_HEADERS | END_STREAM, 1, ANSWER + BAD) + frame(RST, 0, 3, bytes(3) + b"\7")),
    "goaway": (1, frame(SETTINGS, 0, 0) + frame(GOAWAY, 0, 0, bytes(3) + b"\1" + bytes(4))),
    "web_server": (1, frame(SETTINGS, 0, 0) + frame(
        HEADERS, END_HEADERS | END_STREAM, 1, literal(":status", "503"))),
}

for name, (kind, data) in SEEDS.items():
    with open(os.path.join(here, "corpus", "fuzz_session", name), "wb") as out:
        out.write(bytes([kind, 255]) + data)
