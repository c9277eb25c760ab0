#!/usr/bin/env python3
"""Asks `cfssl serve` for certificates, and makes the table of scripts/bench_issuance.sh.

bench_cfssl.py PORT ec|rsa same|new PARALLEL SECONDS CSR: one measurement, one line.
bench_cfssl.py --table RESULTS: medians of the rounds, and ratios to keyvault.
bench_cfssl.py --free-port: prints one. --wait PORT: until somebody listens there.
"""
import collections
import http.client
import json
import os
import socket
import statistics
import sys
import threading
import time


def request_of(what, keys, csr):
    if keys == "new":
        key = {"algo": "ecdsa", "size": 256} if what == "ec" else {"algo": "rsa", "size": 2048}
        return "/api/v1/cfssl/newcert", {"request": {
            "CN": "b.example.org", "hosts": ["b.example.org"], "key": key, "names": []}}
    with open(csr, encoding="ascii") as file:
        return "/api/v1/cfssl/sign", {"certificate_request": file.read(),
                                      "hosts": ["b.example.org"]}


def measure(port, what, keys, parallel, seconds, csr):
    path, request = request_of(what, keys, csr)
    body = json.dumps(request)
    times = []
    end = time.monotonic() + seconds

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.monotonic() < end:
            began = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            if not answer["success"]:
                sys.exit(f"cfssl: {answer['errors']}")
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    times.sort()
    print(f"{len(times) / took:.1f} {1e6 * times[len(times) // 2]:.0f}"
          f" {1e6 * times[len(times) * 99 // 100]:.0f}")


def table(path):
    rounds = collections.defaultdict(list)
    with open(path, encoding="ascii") as lines:
        for line in lines:
            what, keys, who, parallel, rate = line.split()[:5]  # what follows differs
            rounds[what, keys, who, int(parallel)].append(float(rate))
    medians = {key: statistics.median(values) for key, values in rounds.items()}
    print(f"{os.cpu_count()} cores shared by all\n")
    print(f"{'leaf key':>8} {'':>8} {'':>24} {'a second':>10} {'ratio':>7}")
    for what in ("ec", "rsa"):
        for keys in ("same", "new"):
            ours = medians[what, keys, "keyvault", 8]
            for (w, k, who, parallel), rate in medians.items():
                if (w, k) == (what, keys):
                    print(f"{what:>8} {keys:>8} {f'{who}, {parallel} in flight':>24} {rate:10.1f}"
                          f" {rate / ours:7.2f}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("cfssl did not start")


def main(arguments):
    if arguments[0] == "--table":
        table(arguments[1])
    elif arguments[0] == "--free-port":
        print(free_port())
    elif arguments[0] == "--wait":
        wait(int(arguments[1]))
    else:
        port, what, keys, parallel, seconds, csr = arguments
        measure(int(port), what, keys, int(parallel), float(seconds), csr)


main(sys.argv[1:])
