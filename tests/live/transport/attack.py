#!/usr/bin/env python3
"""attack.py - raw HTTP/2 frames over TLS at the test server: each attack must be stopped, and an
honest call must be answered afterwards.

Usage: attack.py <transport_server>    Standard library only; loopback only.
"""
import os
import resource
import select
import socket
import ssl
import struct
import subprocess
import sys
import time

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ECHO = "/keyvault.test.v1.EchoService/Echo"
HEALTH = "/grpc.health.v1.Health/Check"
PATIENCE = 40  # seconds; none of what is waited for takes them but on a machine that is very busy
STALL_MS = 15000


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def literal(name, value):
    """HPACK, never indexed, no Huffman."""
    out = b"\x10"
    for text in (name, value):
        data = text.encode()
        size = len(data)
        if size < 127:
            out += bytes([size])
        else:
            size -= 127
            out += b"\x7f"
            while size >= 128:
                out += bytes([size % 128 + 128])
                size //= 128
            out += bytes([size])
        out += data
    return out


def request(path, extra=(), content_type="application/grpc", method="POST"):
    pairs = [(":method", method), (":scheme", "https"), (":path", path), (":authority", "x"),
             ("content-type", content_type), ("te", "trailers"), *extra]
    return b"".join(literal(name, value) for name, value in pairs)


def grpc(message=b""):
    return b"\0" + struct.pack(">I", len(message)) + message


class Server:
    def __init__(self, **settings):
        environment = dict(os.environ)
        # What the address sanitizer keeps back after free would count as growth.
        environment["ASAN_OPTIONS"] = "quarantine_size_mb=8:thread_local_quarantine_size_kb=64"
        for name, value in settings.items():
            environment["KV_TEST_" + name.upper()] = str(value)
        files = settings.get("files", 1024)
        self.process = subprocess.Popen(
            [sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
        port, self.folder = self.process.stdout.readline().split()
        self.port = int(port)

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) * 1024
        return 0

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.summary = self.process.stdout.read()
        code = self.process.wait(PATIENCE)
        assert code == 0, f"the server ended with {code}: {self.summary}"


class Peer:
    """One connection. Frames that come in are kept in self.frames."""

    def __init__(self, server, settings=b"", preface=True, window=None, source=""):
        context = ssl.create_default_context(cafile=server.folder + "/ca.pem")
        context.load_cert_chain(server.folder + "/client.pem", server.folder + "/client.key")
        context.set_alpn_protocols(["h2"])
        self.raw = socket.create_connection(("127.0.0.1", server.port),
                                            source_address=(source, 0) if source else None)
        self.tls = context.wrap_socket(self.raw, server_hostname="localhost")
        self.tls.settimeout(60)
        self.buffer = b""
        self.frames = []
        self.closed = False
        self.sent = 0
        if preface:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        try:
            self.tls.sendall(data)
            self.sent += len(data)
            return True
        except (OSError, ssl.SSLError):
            self.closed = True
            return False

    def poll(self, seconds=0.0):
        """Reads what is there."""
        end = time.monotonic() + seconds
        while not self.closed:
            if not self.tls.pending() and not select.select(
                    [self.tls], [], [], max(0, end - time.monotonic()))[0]:
                return
            try:
                data = self.tls.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                return
            except (OSError, ssl.SSLError):
                data = b""
            if not data:
                self.closed = True
            self.buffer += data
            while len(self.buffer) >= 9:
                size = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) < 9 + size:
                    break
                self.frames.append((self.buffer[3], self.buffer[4],
                                    int.from_bytes(self.buffer[5:9], "big") & 0x7fffffff,
                                    self.buffer[9:9 + size]))
                self.buffer = self.buffer[9 + size:]

    def wait_closed(self, seconds):
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self.poll(0.1)
        return self.closed

    def wait_end(self, stream, seconds=60):
        """Waits for END_STREAM on the stream; all its DATA."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.poll(0.05)
            mine = [f for f in self.frames if f[2] == stream]
            if any(f[0] in (DATA, HEADERS) and f[1] & END_STREAM or f[0] == RST for f in mine):
                return b"".join(f[3] for f in mine if f[0] == DATA)
            if self.closed:
                break
        raise AssertionError(f"stream {stream} did not end: {self.frames[-3:]}")

    def saw(self, kind, code=None):
        for seen, flags, stream, payload in self.frames:
            if seen == kind and (code is None or payload[4:8] == struct.pack(">I", code)):
                return True
        return False

    def close(self):
        self.tls.close()


def honest(server):
    peer = Peer(server)
    peer.send(frame(HEADERS, END_HEADERS, 1, request(HEALTH)) +
              frame(DATA, END_STREAM, 1, grpc()))
    answer = peer.wait_end(1)
    assert answer == grpc(b"\x08\x01"), answer
    peer.close()


def honest_again(server):
    """There is room again once the server has noticed who has gone."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return honest(server)
        except (AssertionError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def until(holds, seconds=PATIENCE):
    """Does it hold, in time?"""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def flood(server, name, make, most, settings=b"", start=b"", read=True):
    """Sends batches until the server hangs up; `most` frames must be enough."""
    peer = Peer(server, settings)
    peer.send(start)
    sent = 0
    while not peer.closed and sent < most:
        count = 64
        if not peer.send(b"".join(make(sent + i) for i in range(count))):
            break
        sent += count
        if read:
            peer.poll()
    assert peer.closed or peer.wait_closed(PATIENCE), f"{name}: not stopped after {sent} frames"
    peer.close()
    honest(server)
    return sent


def open_stream(number, flags=END_HEADERS, path=ECHO):
    return frame(HEADERS, flags, number, request(path))


# --- attacks ---

def rapid_reset(server):
    return flood(server, "rapid reset", lambda i: open_stream(2 * i + 1) +
                 frame(RST, 0, 2 * i + 1, struct.pack(">I", 8)), 20000)


def reset_after_request(server):
    return flood(server, "reset after request", lambda i: open_stream(2 * i + 1) + frame(
        DATA, END_STREAM, 2 * i + 1, grpc()) + frame(RST, 0, 2 * i + 1, struct.pack(">I", 8)),
        50000)


def made_to_reset(server):
    """The server is provoked to reset each stream itself."""
    return flood(server, "WINDOW_UPDATE of 0", lambda i: open_stream(2 * i + 1) +
                 frame(WINDOW, 0, 2 * i + 1, struct.pack(">I", 0)), 20000)


def window_overflow(server):
    return flood(server, "window overflow", lambda i: open_stream(2 * i + 1) +
                 frame(WINDOW, 0, 2 * i + 1, struct.pack(">I", 0x7fffffff)), 20000)


def data_after_end(server):
    return flood(server, "DATA after END_STREAM", lambda i: open_stream(2 * i + 1) + frame(
        DATA, END_STREAM, 2 * i + 1, grpc()) + frame(DATA, 0, 2 * i + 1, b"x"), 20000)


def continuation(server):
    start = frame(HEADERS, 0, 1, request(ECHO))
    return flood(server, "CONTINUATION", lambda i: frame(CONTINUATION, 0, 1, literal(
        "x-a", "b" * 1000)), 20000, start=start)


def empty_continuation(server):
    start = frame(HEADERS, 0, 1, request(ECHO))
    return flood(server, "empty CONTINUATION", lambda i: frame(CONTINUATION, 0, 1), 50000,
                 start=start)


def ping(server):
    return flood(server, "PING", lambda i: frame(PING, 0, 0, bytes(8)), 100000)


def ping_unread(server):
    return flood(server, "PING unread", lambda i: frame(PING, 0, 0, bytes(8)), 100000, read=False)


def settings(server):
    return flood(server, "SETTINGS", lambda i: frame(SETTINGS, 0, 0), 100000)


def many_settings(server):
    entry = struct.pack(">HI", 3, 100)
    return flood(server, "SETTINGS of 2000 entries",
                 lambda i: frame(SETTINGS, 0, 0, entry * 2000), 1000)


def empty_data(server):
    return flood(server, "empty DATA", lambda i: frame(DATA, 0, 1), 100000,
                 start=open_stream(1))


def padded_empty_data(server):
    return flood(server, "padded empty DATA", lambda i: frame(DATA, PADDED, 1, b"\x10" + bytes(16)),
                 100000, start=open_stream(1))


def priority(server):
    return flood(server, "PRIORITY", lambda i: frame(PRIORITY, 0, 2 * i + 1, bytes(5)), 100000)


def window_update(server):
    return flood(server, "WINDOW_UPDATE", lambda i: frame(WINDOW, 0, 0, struct.pack(">I", 1)),
                 600000)


def unknown_frames(server):
    return flood(server, "unknown frames", lambda i: frame(0xfb, 0, 0, b"x"), 100000)


def header_bomb(server):
    """A dynamic table entry of 4000 bytes, named again and again."""
    entry = b"\x40\x01a\x7f" + bytes([0xa0, 0x1e - 0]) + b"b" * (127 + 32 + 0x1e * 128)
    block = request(ECHO) + entry + b"\xbe" * 4000
    peer = Peer(server)
    peer.send(frame(HEADERS, END_HEADERS, 1, block[:16384]))
    assert peer.wait_closed(PATIENCE), "header bomb: not stopped"
    peer.close()
    honest(server)
    return 1


def too_many_streams(server):
    """128 are allowed; streams opened all the same are refused and the connection ends."""
    return flood(server, "1000 streams", lambda i: open_stream(2 * i + 1), 5000)


def zero_window_reader(server):
    """Asks for much and reads nothing: memory is capped and the connection ends."""
    before = server.rss()
    zero = struct.pack(">HI", 4, 0)
    ask = grpc(b"\x10" + b"\x80\x80\x40")  # reply_bytes: 1 MiB
    peers = [Peer(server, zero) for _ in range(4)]
    for peer in peers:
        for i in range(120):
            peer.send(open_stream(2 * i + 1) + frame(DATA, END_STREAM, 2 * i + 1, ask))
    # 8 MiB of replies for each connection, once those that are done have come home: on a busy
    # machine that is a while after.
    most = 4 * 8 * 2**20 + 96 * 2**20
    time.sleep(1.5)
    until(lambda: server.rss() - before < most, STALL_MS / 2000)
    grown = server.rss() - before
    assert grown < most, f"grew by {grown >> 20} MiB"
    for peer in peers:
        peer.poll()
        assert not peer.closed, "a reader that reads nothing is gone too early"
    for peer in peers:
        assert peer.wait_closed(PATIENCE), "a reader that reads nothing is still connected"
        peer.close()
    honest(server)
    return grown >> 20


def goes_on_after_the_end(server):
    """Reads nothing, so that the server cannot even say that the connection has ended, and goes on
    sending: nothing of that is taken but what the sockets hold."""
    before = server.rss()
    peer = Peer(server, struct.pack(">HI", 4, 0x7fffffff))
    peer.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fff0000 - 65535)))
    ask = grpc(b"\x10" + b"\x80\x80\x40")  # reply_bytes: 1 MiB
    for i in range(60):
        peer.send(open_stream(2 * i + 1) + frame(DATA, END_STREAM, 2 * i + 1, ask))
    # More replies than the sockets hold, and then too many useless frames.
    assert until(lambda: server.rss() - before > 40 * 2**20), "the replies are not made"
    peer.send(frame(0xfb, 0, 0, b"x") * 5000)
    peer.tls.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    peer.sent = 0
    while peer.sent < 16 << 20 and peer.send(bytes(65536)):
        pass
    assert peer.closed, f"the server has taken {peer.sent >> 20} MiB more"
    peer.close()
    honest(server)
    return peer.sent >> 20


def slow_handshake(server):
    """Says nothing, or a byte now and then."""
    silent = socket.create_connection(("127.0.0.1", server.port))
    drip = socket.create_connection(("127.0.0.1", server.port))
    drip.send(b"\x16\x03\x01\x02\x00\x01\x00")
    began = time.monotonic()
    drip.settimeout(0.1)
    silent.settimeout(PATIENCE)
    while time.monotonic() - began < PATIENCE:
        try:
            drip.send(b"\x00")
            if drip.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    assert time.monotonic() - began < PATIENCE, "a dripping handshake lives on"
    assert silent.recv(1) == b"", "a silent peer was answered"
    honest(server)
    return 1


def slow_body(server):
    """The body never ends and no deadline is given: the server's own is used."""
    peer = Peer(server)
    began = time.monotonic()
    peer.send(open_stream(1) + frame(DATA, 0, 1, grpc(b"x" * 100)[:50]))
    peer.wait_end(1)
    assert time.monotonic() - began > 1, time.monotonic() - began
    peer.close()
    honest(server)
    return 1


def timeouts(server):
    """The longest grpc-timeout there is, and ones that are none."""
    peer = Peer(server)
    for number, (text, good) in enumerate([("99999999H", True), ("99999999n", True), ("0m", True),
                                           ("999999999H", False), ("-1S", False), ("1", False),
                                           ("S", False), ("1e9S", False), ("1" * 4000, False)]):
        stream = 2 * number + 1
        peer.send(frame(HEADERS, END_HEADERS, stream, request(ECHO, [("grpc-timeout", text)])) +
                  frame(DATA, END_STREAM, stream, grpc(b"\x0a\x02hi")))
        answer = peer.wait_end(stream)
        if text == "99999999H":
            assert answer == grpc(b"\x0a\x02hi"), answer
        assert good or not answer, f"{text} was taken"
    # The body of a call with the longest one does not come: the server's own longest holds.
    began = time.monotonic()
    peer.send(frame(HEADERS, END_HEADERS, 101, request(ECHO, [("grpc-timeout", "99999999H")])) +
              frame(DATA, 0, 101, grpc(b"x" * 100)[:50]))
    peer.wait_end(101)
    assert time.monotonic() - began > 1, time.monotonic() - began
    peer.close()
    honest(server)
    return 10


def lengths(server):
    """A message that is shorter or longer than its prefix says."""
    peer = Peer(server)
    bodies = [b"", b"\0", b"\0\0\0\0", struct.pack(">BI", 0, 5) + b"abcd",
              struct.pack(">BI", 0, 3) + b"abcd", struct.pack(">BI", 0, 0xffffffff) + b"a",
              struct.pack(">BI", 0, 0x7fffffff), struct.pack(">BI", 0xff, 1) + b"a",
              struct.pack(">BI", 0, 4194305), grpc(b"a") + b"\0"]
    for number, body in enumerate(bodies):
        stream = 2 * number + 1
        peer.send(open_stream(stream) + frame(DATA, END_STREAM, stream, body))
        assert peer.wait_end(stream) == b"", f"body {number} was taken"
    peer.close()
    honest(server)
    return len(bodies)


def slow_headers(server):
    """A header block in drops: ended as idle, for there is no call yet."""
    peer = Peer(server)
    block = request(ECHO)
    peer.send(frame(HEADERS, 0, 1, block[:10]))
    began = time.monotonic()
    while not peer.closed and time.monotonic() - began < PATIENCE:
        peer.tls.settimeout(1)
        peer.poll(0.2)
    assert peer.closed, "half a header block lives on"
    honest(server)
    return 1


def early_data(server):
    """A ticket allows no early data, and who sends some has to say it again after the handshake."""
    files = ["-CAfile", server.folder + "/ca.pem", "-cert", server.folder + "/client.pem", "-key",
             server.folder + "/client.key"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername",
               "localhost", "-alpn", "h2", *files]
    ticket = server.folder + "/ticket"
    first = subprocess.Popen([*command, "-sess_out", ticket], stdin=subprocess.PIPE,
                             errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + PATIENCE
    while not os.path.exists(ticket) and time.monotonic() < end:
        time.sleep(0.05)  # it comes after the handshake
    said = first.communicate("", PATIENCE)[0]
    assert "Verification: OK" in said and "Max Early Data: 0" in said, said
    with open(server.folder + "/early", "wb") as out:
        out.write(PREFACE)
    second = subprocess.run([*command, "-sess_in", ticket, "-early_data", server.folder + "/early"],
                            input="", capture_output=True, errors="replace", timeout=PATIENCE,
                            check=False)
    os.remove(ticket)
    os.remove(server.folder + "/early")
    assert "Early data was accepted" not in second.stdout + second.stderr, second.stdout
    honest(server)
    return 2


def half_bodies(server):
    """Strangers hold unfinished requests: a part of the memory for them is all that those of one
    address get, filled to the last byte; those of another have room."""
    before = server.rss()
    peers = [Peer(server) for _ in range(8)]
    chunk = b"x" * 16384
    for peer in peers:
        for number in range(4):
            stream = 2 * number + 1
            peer.send(open_stream(stream) + frame(DATA, 0, stream, struct.pack(">BI", 0, 4000000)))
            for _ in range(40):  # 640 KiB of each message
                if not peer.send(frame(DATA, 0, stream, chunk)):
                    break
            peer.poll()
    grown = server.rss() - before
    assert grown < 48 << 20, f"grew by {grown >> 20} MiB"
    full = Peer(server)
    for number in range(80):  # what was refused is given back before less is tried
        stream = 2 * number + 1
        bit = chunk[:max(1, 16000 >> max(0, number - 45))]
        begun = struct.pack(">BI", 0, 4000000) + bit
        full.send(open_stream(stream) + frame(DATA, 0, stream, begun))
        full.poll(0.02 if number >= 45 else 0)
    def is_full():
        full.poll(0.1)
        return any(f[0] == HEADERS and f[1] & END_STREAM for f in full.frames)
    assert until(is_full), "it is not full"
    peer = Peer(server, source="127.0.0.2")
    peer.send(open_stream(1) + frame(DATA, END_STREAM, 1, grpc(b"\x0a\x02hi")))
    assert peer.wait_end(1) == grpc(b"\x0a\x02hi"), "no room for a small request"
    for one in [*peers, full, peer]:
        one.close()
    honest(server)
    return grown >> 20


def crowd(server):
    """Places are short: who has called nobody goes, who has called stays."""
    caller = Peer(server)
    caller.send(open_stream(1) + frame(DATA, END_STREAM, 1, grpc(b"\x0a\x02hi")))
    assert caller.wait_end(1) == grpc(b"\x0a\x02hi")
    strangers = [Peer(server) for _ in range(60)]
    for _ in range(30):  # more than there are places left
        peer = None
        for _ in range(500):
            try:
                peer = Peer(server)
                break
            except OSError:
                time.sleep(0.1)
        assert peer, "strangers keep the places"
        strangers.append(peer)
    caller.poll()
    assert not caller.closed, "a caller lost its place"

    def gone():
        for peer in strangers:
            peer.poll()
        return sum(peer.closed for peer in strangers)
    assert until(lambda: gone() >= 27), gone()
    lost = gone()
    for peer in [*strangers, caller]:
        peer.close()
    honest_again(server)
    return lost


def idle(server):
    """A connection without a call gets GOAWAY and is closed."""
    peer = Peer(server)
    began = time.monotonic()
    assert peer.wait_closed(PATIENCE), "an idle connection lives on"
    assert peer.saw(GOAWAY, 0), peer.frames
    peer.close()
    return round(time.monotonic() - began, 1)


def garbage(server):
    peer = Peer(server, preface=False)
    peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert peer.wait_closed(PATIENCE), "HTTP/1.1 on an h2 connection lives on"
    peer.close()
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.send(os.urandom(1000))
    raw.settimeout(PATIENCE)
    try:
        while raw.recv(1000):
            pass
    except ConnectionResetError:
        pass
    honest(server)
    return 1


def protocols(server):
    """No ALPN, other ALPN, TLS 1.2, a weak key: no connection."""
    for change in ("none", "http/1.1", "tls1.2", "weak"):
        context = ssl.create_default_context(cafile=server.folder + "/ca.pem")
        name = "client"
        if change == "weak":
            name = "weak"
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(f"{server.folder}/{name}.pem", f"{server.folder}/{name}.key")
        if change != "none":
            context.set_alpn_protocols(["http/1.1" if change == "http/1.1" else "h2"])
        if change == "tls1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.settimeout(PATIENCE)
        try:
            tls = context.wrap_socket(raw, server_hostname="localhost")
            tls.send(PREFACE + frame(SETTINGS, 0, 0))
            assert tls.recv(100) == b"", f"{change}: the server talks"
        except (ssl.SSLError, ConnectionError):
            pass
        raw.close()
    honest(server)
    return 4


def status_of(peer, stream):
    """The :status or grpc-status values are literal or Huffman: ours are recognised by frames."""
    return [f for f in peer.frames if f[2] == stream and f[0] == HEADERS]


def not_grpc(server):
    """Other methods, other content types, compression: an answer, and the connection lives."""
    peer = Peer(server)
    peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1,
                    request(ECHO, method="GET")))
    peer.send(frame(HEADERS, END_HEADERS, 3, request(ECHO, content_type="text/html")) +
              frame(DATA, END_STREAM, 3, b"x"))
    peer.send(frame(HEADERS, END_HEADERS, 5, request(ECHO, [("grpc-encoding", "gzip")])) +
              frame(DATA, END_STREAM, 5, grpc()))
    peer.send(open_stream(7) + frame(DATA, END_STREAM, 7, b"\x01" + grpc()[1:]))
    peer.send(open_stream(9) + frame(DATA, END_STREAM, 9, grpc() + grpc()))
    peer.send(open_stream(11) + frame(DATA, END_STREAM, 11, b"\0\0"))
    peer.send(frame(HEADERS, END_HEADERS, 13, request(ECHO, [("grpc-timeout", "soon")])) +
              frame(DATA, END_STREAM, 13, grpc()))
    for stream in range(1, 15, 2):
        peer.wait_end(stream)
        assert len(status_of(peer, stream)) == 1, stream
    peer.send(frame(HEADERS, END_HEADERS, 15, request(HEALTH)) +
              frame(DATA, END_STREAM, 15, grpc()))
    assert peer.wait_end(15) == grpc(b"\x08\x01")
    peer.close()
    return 7


def resumed(server):
    """A resumed session still proves the client's certificate; a ticket alone is not enough."""
    context = ssl.create_default_context(cafile=server.folder + "/ca.pem")
    context.load_cert_chain(server.folder + "/client.pem", server.folder + "/client.key")
    context.set_alpn_protocols(["h2"])
    session = None
    for reused in (False, True):
        peer = Peer.__new__(Peer)
        raw = socket.create_connection(("127.0.0.1", server.port))
        peer.tls = context.wrap_socket(raw, server_hostname="localhost", session=session)
        peer.buffer, peer.frames, peer.closed, peer.sent = b"", [], False, 0
        peer.send(PREFACE + frame(SETTINGS, 0, 0) + open_stream(1) +
                  frame(DATA, END_STREAM, 1, grpc(b"\x0a\x02hi")))
        assert peer.wait_end(1) == grpc(b"\x0a\x02hi"), "not identified"
        assert peer.tls.session_reused == reused, f"reused: {peer.tls.session_reused}"
        session = peer.tls.session
        peer.close()
    return 1


def too_many_connections(server):
    """16 from one address; the next is closed, and there is room again once one has gone."""
    peers = [Peer(server) for _ in range(16)]
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.settimeout(PATIENCE)
    try:
        assert raw.recv(1) == b"", "one connection too many was served"
    except ConnectionResetError:
        pass
    peers[0].close()
    honest_again(server)
    for peer in peers:
        peer.close()
    return 16


def no_descriptors_left(server):
    """More connections than descriptors: the rest is closed at once, the listener does not spin."""
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(80)]
    time.sleep(0.5)
    with open(f"/proc/{server.process.pid}/stat") as stat:
        before = sum(map(int, stat.read().split()[13:15]))
    time.sleep(1)
    with open(f"/proc/{server.process.pid}/stat") as stat:
        ticks = sum(map(int, stat.read().split()[13:15])) - before
    assert ticks < 30, f"the server used {ticks} ticks of a second while it had nothing to do"
    closed = 0
    for one in sockets:
        one.settimeout(0.01)
        try:
            closed += one.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            closed += 1
    assert 20 < closed < 80, closed
    for one in sockets:
        one.close()
    honest_again(server)
    return closed


GROUPS = [
    ({}, [rapid_reset, reset_after_request, made_to_reset, window_overflow, data_after_end,
          continuation, empty_continuation, ping, ping_unread, settings, many_settings, empty_data,
          padded_empty_data, priority, window_update, unknown_frames, header_bomb,
          too_many_streams, garbage, protocols, not_grpc, lengths, resumed,
          early_data]),
    ({"stall_ms": STALL_MS, "reply_bytes": 8 << 20}, [zero_window_reader]),
    ({"stall_ms": 8000}, [goes_on_after_the_end]),
    ({"handshake_ms": 4000, "deadline_ms": 3000, "deadline_most": 5000, "idle_ms": 4000},
     [slow_handshake, slow_body, slow_headers, timeouts, idle]),
    ({"connections": 64, "handshake_ms": 5000}, [crowd]),
    ({"request_bytes": 8 << 20}, [half_bodies]),
    ({"per_address": 16}, [too_many_connections]),
    ({"files": 48}, [no_descriptors_left]),
]


def no_more_files(server, before):
    """What an attack opened is closed again."""
    end = time.monotonic() + PATIENCE
    while server.files() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert server.files() <= before, f"{before} descriptors before, {server.files()} after"


def main():
    failed = 0
    for settings_of_group, attacks in GROUPS:
        with Server(**settings_of_group) as server:
            honest(server)
            before = server.files()
            for attack in attacks:
                try:
                    print(f"ok   {attack.__name__}: {attack(server)}", flush=True)
                    no_more_files(server, before)
                except (AssertionError, OSError) as error:
                    failed += 1
                    print(f"FAIL {attack.__name__}: {error!r}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
