#!/usr/bin/env python3
"""Makes the table of scripts/bench.sh: medians of the rounds, and ratios to the raw token."""
import collections
import json
import os
import statistics
import sys
import time

NAMES = {
    "p256": "ECDSA P-256 sign",
    "rsa2048": "RSA-2048 sign",
    "secret": "secret get (raw: AES-256-GCM decrypt)",
    "certificate": "certificate get (no token)",
}


def fdatasync_ms(folder):
    """Median time of a small write made durable, where the audit log is."""
    path = os.path.join(folder, "sync")
    times = []
    with open(path, "wb") as file:
        for _ in range(200):
            file.write(b"x" * 300)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    os.unlink(path)
    return 1000 * statistics.median(times)


def read(path):
    rounds = collections.defaultdict(list)
    with open(path, encoding="ascii") as lines:
        for line in lines:
            what, kind, parallel, rate, p50, p99 = line.split()
            rounds[what, kind, int(parallel)].append((float(rate), int(p50), int(p99)))
    return {key: tuple(statistics.median(column) for column in zip(*values))
            for key, values in rounds.items()}


def main():
    results = read(sys.argv[1])
    sync = fdatasync_ms(sys.argv[2])
    print(f"{os.cpu_count()} cores shared by server and load; fdatasync {sync:.2f} ms (median)\n")
    print(f"{'':40} {'':>16} {'op/s':>10} {'p50 us':>9} {'p99 us':>9} {'ratio':>7}")
    rows = []
    for what, name in NAMES.items():
        best = max((values[0] for (w, kind, _), values in results.items()
                    if w == what and kind == "raw"), default=None)
        for kind, label in (("raw", "token, {} thread"), ("served", "{} in flight")):
            for (w, k, parallel), (rate, p50, p99) in sorted(results.items()):
                if w != what or k != kind:
                    continue
                ratio = rate / best if best and kind == "served" else None
                text = f"{ratio:.2f}" if ratio else ""
                print(f"{name:40} {label.format(parallel):>16} {rate:10.0f} {p50:9.0f} {p99:9.0f}"
                      f" {text:>7}")
                rows.append({"operation": what, "kind": kind, "parallel": parallel,
                             "per_second": rate, "p50_us": p50, "p99_us": p99,
                             "ratio_to_raw": ratio})
                name = ""
    print("\nratio: to the token's best rate in this run")
    if len(sys.argv) > 3:
        with open(sys.argv[3], "w", encoding="ascii") as out:
            json.dump({"fdatasync_ms": sync, "rows": rows}, out, indent=1)


main()
