#!/usr/bin/env python3
"""Makes the tables of scripts/bench.sh, in Markdown, and says which targets were reached.

    scripts/bench_table.py FOLDER
"""
import math
import os
import sys

from bench_results import NAMES, best, read_keys, read_part, sync_ms

SIDES = {
    "object": "token object, {p} thread(s)",
    "copy": "session copy, {p} thread(s)",
    "software": "OpenSSL in memory, {p} threads",
    "p11kit": "p11-kit server, {p} in flight, {c} connection(s)",
    "served": "keyvault, {p} in flight, {c} connection(s)",
}


def ratio(of, to):
    return of.rate / to.rate if of and to else None


def text_of(value):
    return f"{value:.2f}" if value is not None else ""


def print_operation(part, rows):
    to_object, to_copy = best(rows, "object"), best(rows, "copy")
    print(f"\n### {NAMES[part]}\n")
    print("| | op/s | p50 ms | p99 ms | p99.9 ms | µs of a processor: load, server "
          "| to object | to copy |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for side, label in SIDES.items():
        for row in sorted((row for row in rows if row.side == side),
                          key=lambda row: (row.parallel, row.connections)):
            server = f", {row.server:.0f}" if row.server else ""
            print(f"| {label.format(p=row.parallel, c=row.connections)} | {row.rate:,.0f} "
                  f"| {row.p50 / 1000:.2f} | {row.p99 / 1000:.2f} | {row.p999 / 1000:.2f} "
                  f"| {row.cpu:.0f}{server} | {text_of(ratio(row, to_object))} "
                  f"| {text_of(ratio(row, to_copy))} |")


def print_connections(rows):
    names = {"full": "full handshake", "resumed": "resumed"}
    print("\n### Connection set-up\n")
    print("| | per second | p50 ms | p99 ms | µs of a processor: client, server |")
    print("|---|--:|--:|--:|--:|")
    for row in sorted(rows, key=lambda row: (row.side, row.parallel)):
        print(f"| {names[row.side]}, {row.parallel} at once | {row.rate:,.0f} "
              f"| {row.p50 / 1000:.2f} | {row.p99 / 1000:.2f} | {row.cpu:.0f}, {row.server:.0f} |")


def per_key(counts, row, what):
    """KiB a key that the server needs beyond the token's own, counted from the fewest keys."""
    first = counts[0]
    keys = row[0] - first[0]
    return ((row[what] - first[what]) - (row[3] - first[3])) / keys if keys else None


def print_keys(counts):
    print("\n### So many keys\n")
    print("| keys | C_Initialize ms | server's start ms | ratio | token MiB | server MiB "
          "| beyond the token's, KiB a key | after use | p99 ms, one key | p99 ms, all in turn |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for row in counts:
        count, init, _, token_kib, start, before, _, one, every = row
        print(f"| {count:,} | {init:.0f} | {start:.0f} | {start / init:.1f} "
              f"| {token_kib / 1024:.0f} | {before / 1024:.0f} "
              f"| {text_of(per_key(counts, row, 5))} "
              f"| {text_of(per_key(counts, row, 6))} | {one.p99 / 1000:.2f} "
              f"| {every.p99 / 1000:.2f} |")


def at_least(name, value, least):
    if value is not None:
        yield name, f"{value:.2f}", f"at least {least}", value >= least


def at_most(name, value, most):
    if value is not None:
        yield name, f"{value:.2f}", f"at most {most}", value <= most


def signature_targets(folder):
    rows = {part: read_part(folder, part) for part in ("p256", "rsa2048")}
    wanted = {("p256", 64): 0.75, ("p256", 256): 0.85, ("rsa2048", 64): 0.95,
              ("rsa2048", 256): 0.85}
    for (part, flight), least in wanted.items():
        value = ratio(best(rows[part], "served", flight), best(rows[part], "object"))
        yield from at_least(f"{NAMES[part]}, {flight} in flight, to the token object", value,
                            least)
    for flight in (16, 64):
        value = ratio(best(rows["p256"], "served", flight), best(rows["p256"], "p11kit", flight))
        yield from at_least(f"{NAMES['p256']}, {flight} in flight, to p11-kit server", value, 2)
    for part in ("p256", "rsa2048"):
        row = best(rows[part], "served", 64)
        yield from at_most(f"{NAMES[part]}, 64 in flight, p99 to p50",
                           row.p99 / row.p50 if row else None, 10)


def key_targets(counts):
    by_count = {row[0]: row for row in counts}
    few, many = by_count.get(10), by_count.get(10000)
    if not few or not many:
        return
    for name, at in (("one key", 7), ("all in turn", 8)):
        yield from at_most(f"sign p99 with 10,000 keys to that with 10, {name}",
                           many[at].p99 / few[at].p99, 1.2)
    yield from at_most("start with 10,000 keys to C_Initialize", many[4] / many[1], 3)
    yield from at_most("memory beyond the token's, KiB a key", per_key(counts, many, 5), 4)


def main():
    folder = sys.argv[1]
    counts = read_keys(folder)
    sync = sync_ms(folder)
    print(f"{os.cpu_count()} cores shared by server and load"
          + ("" if math.isnan(sync) else f"; an fdatasync takes {sync:.2f} ms at the median"))
    for part in NAMES:
        rows = read_part(folder, part)
        if rows:
            print_operation(part, rows)
    if read_part(folder, "connect"):
        print_connections(read_part(folder, "connect"))
    if counts:
        print_keys(counts)
    print("\n### Targets\n\n| | measured | wanted | reached |\n|---|--:|--:|---|")
    for name, value, wanted, reached in (*signature_targets(folder), *key_targets(counts)):
        print(f"| {name} | {value} | {wanted} | {'yes' if reached else '**no**'} |")


main()
