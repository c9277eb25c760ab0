"""What scripts/bench.sh left in its folder: medians of the rounds."""
import csv
import os
import statistics

NAMES = {
    "p256": "ECDSA P-256 sign",
    "p384": "ECDSA P-384 sign",
    "rsa2048": "RSA-2048 sign",
    "rsa4096": "RSA-4096 sign",
    "ed25519": "Ed25519 sign",
    "gcm": "AES-256-GCM encrypt, 1 KiB",
    "secret": "secret get (token: AES-256-GCM decrypt)",
    "certificate": "certificate get (no token)",
    "create": "key creation, P-256",
}


def median_rows(path, key_columns):
    """Rows as {key: tuple of medians}; a row's key is its first columns."""
    rounds = {}
    with open(path, encoding="ascii", newline="") as lines:
        for row in csv.reader(lines):
            key = tuple(row[:key_columns])
            rounds.setdefault(key, []).append([float(value) for value in row[key_columns:]])
    return {key: tuple(statistics.median(column) for column in zip(*rows))
            for key, rows in rounds.items()}


class Row:
    """One side at one number in flight."""

    def __init__(self, key, values):
        self.side, self.parallel, self.connections = key[0], int(key[1]), int(key[2])
        self.rate, self.p50, self.p99, self.p999, self.cpu, self.server = values


def read_part(folder, part):
    path = os.path.join(folder, part + ".csv")
    if not os.path.exists(path):
        return []
    return [Row(key, values) for key, values in median_rows(path, 3).items()]


def best(rows, side, parallel=None):
    """The row of a side with the highest rate, or None."""
    fitting = [row for row in rows
               if row.side == side and (parallel is None or row.parallel == parallel)]
    return max(fitting, key=lambda row: row.rate, default=None)


def sync_ms(folder):
    """The median of all rounds' median fdatasync."""
    times = [row.p50 for part in NAMES for row in read_part(folder, part) if row.side == "sync"]
    return statistics.median(times) / 1000 if times else float("nan")


def read_keys(folder):
    """(keys, init ms, login ms, token KiB, start ms, server KiB, used KiB, one, all) by count;
    `one` and `all` are rows of one key and of all keys in turn."""
    path = os.path.join(folder, "keys.csv")
    if not os.path.exists(path):
        return []
    counts = []
    for (count,), values in median_rows(path, 1).items():
        init_us, login_us, token_kib, start_ms, before, after = values[:6]
        one, every = (Row((name, 16, 1), values[at:at + 6])
                      for name, at in (("one", 6), ("all", 12)))
        counts.append((int(count), init_us / 1000, login_us / 1000, token_kib, start_ms, before,
                       after, one, every))
    return sorted(counts, key=lambda row: row[0])
