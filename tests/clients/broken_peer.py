"""A WebSocket server and a client, written from the RFC alone, with one fault at a time: `parlor check` must find each.

    broken_peer.py server PORT [FAULT]      an echo, until it is killed
    broken_peer.py client PORT [FAULT]      connects again and again, until nobody listens
"""

import base64
import hashlib
import os
import socket
import struct
import sys
import threading
import time
import zlib

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MAX = 16 * 1024 * 1024

#: What each fault is.
SERVER_FAULTS = {
    "wrong-accept": "answers with another accept key",
    "own-protocol": "chooses a subprotocol that nobody offered",
    "own-extension": "agrees to an extension that nobody offered",
    "any-method": "takes a POST",
    "any-version": "takes any version",
    "any-upgrade": "does not look at `Upgrade`",
    "any-connection": "does not look at `Connection`",
    "any-key": "takes any key, none and two",
    "case-matters": "reads `websocket` and `Upgrade` only in one case",
    "one-connection": "does not take `Connection` for a list",
    "agrees-to-anything": "agrees to whatever is offered of permessage-deflate",
    "agrees-to-more": "agrees to a window that was not offered",
    "any-mask": "takes frames without a mask",
    "masks-wrong": "masks its own frames",
    "ignores-mask": "does not unmask",
    "any-rsv": "does not look at reserved bits",
    "any-opcode": "takes reserved opcodes",
    "top-bit": "takes lengths of 2⁶³ and more",
    "signed-length": "reads 16 bits of length with a sign",
    "short-lengths": "reads 16 of the 64 bits of a length",
    "whole-headers": "takes no header in two parts",
    "one-frame-a-read": "forgets what came behind a frame",
    "fragmented-control": "takes fragments of control frames",
    "long-control": "takes control frames of more than 125 bytes",
    "any-continuation": "passes over a continuation of nothing",
    "message-within-message": "takes a message within a message",
    "forgets-fragments": "hands on the last fragment for the message",
    "no-pong": "answers no Ping",
    "empty-pong": "answers a Ping without its payload",
    "late-pong": "answers a Ping behind the message",
    "answers-pong": "fails at a Pong that it did not ask for",
    "any-text": "does not look at UTF-8",
    "surrogates": "takes surrogates for UTF-8",
    "utf8-by-fragment": "wants each fragment to be UTF-8",
    "alters": "sends back another text",
    "no-close": "answers no Close",
    "keeps-tcp": "does not end the TCP connection",
    "goes-on-behind-close": "goes on behind a Close",
    "text-behind-close": "sends a text behind its Close",
    "one-byte-close": "takes a Close of one byte",
    "any-code": "takes any code in a Close",
    "any-reason": "takes a reason that is not UTF-8",
    "marked-continuation": "takes RSV1 on any frame",
    "no-context": "inflates each message by itself, and has not said so",
    "keeps-context": "keeps its window, and has said that it does not",
    "no-bound": "takes messages of any size",
}
CLIENT_FAULTS = {
    "no-version": "asks without a version",
    "constant-key": "asks with the same key each time",
    "any-status": "takes any status",
    "any-upgrade": "does not look at `Upgrade`",
    "any-connection": "does not look at `Connection`",
    "any-accept": "does not look at the accept key",
    "accept-any-case": "compares the accept key in any case",
    "any-extension": "takes an extension that it did not offer",
    "any-protocol": "takes a subprotocol that it did not offer",
    "masks-wrong": "does not mask",
    "constant-mask": "masks each frame with the same key",
    "any-mask": "takes masked frames",
    "any-rsv": "does not look at reserved bits",
    "any-opcode": "takes reserved opcodes",
    "top-bit": "takes lengths of 2⁶³ and more",
    "any-continuation": "passes over a continuation of nothing",
    "no-pong": "answers no Ping",
    "late-pong": "answers a Ping behind the message",
    "any-text": "does not look at UTF-8",
    "no-close": "answers no Close",
    "one-byte-close": "takes a Close of one byte",
    "any-code": "takes any code in a Close",
}


class Failed(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Ended(Exception):
    pass


class Connection:
    """Both ends, behind the opening handshake."""

    def __init__(self, sock, fault, is_server, early=b"", deflate=None):
        self.sock, self.fault, self.is_server, self.buffer = sock, fault, is_server, early
        self.deflate = deflate
        self.message, self.opcode, self.is_compressed = b"", None, False
        self.inflater = self.new_inflater()
        self.deflater = self.new_deflater()
        self.late_pings = []

    @staticmethod
    def new_inflater():
        return zlib.decompressobj(-15)

    @staticmethod
    def new_deflater():
        return zlib.compressobj(9, zlib.DEFLATED, -15)

    def read(self, count):
        while len(self.buffer) < count:
            got = self.sock.recv(65536)
            if not got:
                raise Ended
            self.buffer += got
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, opcode, payload, first=None):
        first = 0x80 | opcode if first is None else first
        masked = self.is_server if self.fault == "masks-wrong" else not self.is_server
        length = len(payload)
        head = bytes([first])
        bit = 0x80 if masked else 0
        if length < 126:
            head += bytes([bit | length])
        elif length < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", length)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", length)
        if masked:
            key = b"\x01\x02\x03\x04" if self.fault == "constant-mask" else os.urandom(4)
            wide = int.from_bytes((key * (length // 4 + 1))[:length], "big")
            head, payload = head + key, (int.from_bytes(payload, "big") ^ wide).to_bytes(length, "big")
        self.sock.sendall(head + payload)

    def send_message(self, opcode, payload):
        if self.deflate is None or len(payload) < 8:
            return self.send(opcode, payload)
        if self.deflate["no_context"] and self.fault != "keeps-context":
            self.deflater = self.new_deflater()
        packed = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        return self.send(opcode, packed[:-4], first=0xC0 | opcode)

    def frame(self):
        if self.fault == "whole-headers" and len(self.buffer) < 2:
            self.buffer += self.sock.recv(65536)
            if len(self.buffer) < 2:
                raise Failed(1002)
        first, second = self.read(2)
        fin, rsv, opcode, masked, length = first >> 7, first >> 4 & 7, first & 15, second >> 7, second & 127
        may_compress = self.deflate is not None and (opcode in (TEXT, BINARY) or self.fault == "marked-continuation")
        if rsv & (3 if may_compress else 7) and self.fault != "any-rsv":
            raise Failed(1002)
        if opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) and self.fault != "any-opcode":
            raise Failed(1002)
        if opcode >= 8 and not fin and self.fault != "fragmented-control":
            raise Failed(1002)
        if opcode >= 8 and length > 125 and self.fault != "long-control":
            raise Failed(1002)
        if bool(masked) != self.is_server and self.fault != "any-mask":
            raise Failed(1002)
        if length == 126:
            length = struct.unpack(">h" if self.fault == "signed-length" else ">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
            if length >> 63 and self.fault != "top-bit":
                raise Failed(1002)
            if self.fault == "short-lengths":
                length &= 0xFFFF
        if length > MAX and self.fault not in ("top-bit", "no-bound"):
            raise Failed(1009)
        if length < 0:
            raise Failed(1002)
        key = self.read(4) if masked else None
        payload = self.read(length)
        if key and length and self.fault != "ignores-mask":
            wide = int.from_bytes((key * (length // 4 + 1))[:length], "big")
            payload = (int.from_bytes(payload, "big") ^ wide).to_bytes(length, "big")
        if self.fault == "one-frame-a-read":
            self.buffer = b""
        return fin, bool(rsv & 4), opcode, payload

    def run(self):
        try:
            while True:
                self.take(*self.frame())
        except Failed as failed:
            self.send(CLOSE, struct.pack(">H", failed.code))
            self.end()
        except (Ended, OSError):
            pass
        finally:
            if self.fault == "keeps-tcp":
                time.sleep(30)
            self.sock.close()

    def end(self):
        """Ends its half, and reads what still comes, that the other half gets the Close."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(0.5)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def take(self, fin, marked, opcode, payload):
        if opcode == PING:
            if self.fault == "no-pong":
                return
            if self.fault == "late-pong" and self.opcode is not None:
                self.late_pings.append(payload)
                return
            if self.fault == "empty-pong":
                payload = b""
            self.send(PONG, payload)
        elif opcode == PONG:
            if self.fault == "answers-pong":
                raise Failed(1002)
        elif opcode == CLOSE:
            self.close(payload)
        elif opcode in (CONTINUATION, TEXT, BINARY):
            self.data(fin, marked, opcode, payload)

    def close(self, payload):
        code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None
        if len(payload) == 1 and self.fault != "one-byte-close":
            raise Failed(1002)
        if code is not None and self.fault != "any-code":
            may = 1000 <= code <= 1014 and code not in (1004, 1005, 1006) or 3000 <= code <= 4999
            if not may:
                raise Failed(1002)
        if self.fault != "any-reason":
            try:
                payload[2:].decode()
            except UnicodeDecodeError:
                raise Failed(1007) from None
        if self.fault == "no-close":
            raise Ended
        self.send(CLOSE, struct.pack(">H", code) if code is not None else b"")
        if self.fault == "text-behind-close":
            self.send(TEXT, b"one more thing")
        if self.fault == "goes-on-behind-close":
            return
        if self.is_server and self.fault != "keeps-tcp":
            self.end()
        raise Ended

    def data(self, fin, marked, opcode, payload):
        if opcode == CONTINUATION:
            if self.opcode is None:
                if self.fault == "any-continuation":
                    return
                raise Failed(1002)
            if self.fault == "forgets-fragments":
                self.message = b""
            self.message += payload
        else:
            if self.opcode is not None and self.fault != "message-within-message":
                raise Failed(1002)
            self.message, self.opcode, self.is_compressed = payload, opcode, marked
        if self.fault == "utf8-by-fragment" and self.opcode == TEXT and not self.is_compressed:
            self.text(payload)
        if not fin:
            return
        message, kind, self.opcode = self.message, self.opcode, None
        if self.is_compressed:
            if self.fault == "no-context":
                self.inflater = self.new_inflater()
            try:
                message = self.inflater.decompress(message + b"\x00\x00\xff\xff", MAX)
            except zlib.error:
                raise Failed(1007) from None
            if self.inflater.eof:
                self.inflater = self.new_inflater()
            if self.inflater.unconsumed_tail and self.fault != "no-bound":
                raise Failed(1009)
        if kind == TEXT:
            self.text(message)
        for ping in self.late_pings:
            self.send(PONG, ping)
        self.late_pings = []
        if self.fault == "alters":
            message = message.upper()
        self.send_message(kind, message)

    def text(self, payload):
        if self.fault == "any-text":
            return
        try:
            payload.decode("utf-8", "surrogatepass" if self.fault == "surrogates" else "strict")
        except UnicodeDecodeError:
            raise Failed(1007) from None


def read_head(sock):
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > 65536:
            raise Ended
        got = sock.recv(65536)
        if not got:
            raise Ended
        head += got
    head, _, rest = head.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = [line.partition(b":")[::2] for line in lines[1:]]
    return lines[0], [(name.strip().lower(), value.strip()) for name, value in fields], rest


def negotiate(line, fault):
    """The answer to an offer of permessage-deflate, and what it means."""
    for offer in line.split(b","):
        name, *params = [part.strip() for part in offer.split(b";")]
        if name != b"permessage-deflate":
            continue
        names = [param.partition(b"=")[0] for param in params]
        known = {b"server_no_context_takeover", b"client_no_context_takeover", b"client_max_window_bits"}
        if fault == "agrees-to-anything":
            return b"permessage-deflate; " + params[0] if params else b"permessage-deflate", {"no_context": False}
        if not set(names) <= known or len(set(names)) < len(names):
            continue
        no_context = b"server_no_context_takeover" in names
        agreed = b"permessage-deflate" + (b"; server_no_context_takeover" if no_context else b"")
        if fault == "agrees-to-more":
            agreed += b"; client_max_window_bits=10"
        return agreed, {"no_context": no_context}
    return None, None


def refuse(sock, status, more=b""):
    sock.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n" + more + b"\r\n")
    sock.close()


def serve_one(sock, fault):
    sock.settimeout(3)
    try:
        line, fields, rest = read_head(sock)
    except (Ended, OSError):
        return sock.close()
    values = {}
    for name, value in fields:
        values.setdefault(name, value)
    lower = (lambda text: text) if fault == "case-matters" else bytes.lower
    version = values.get(b"sec-websocket-version")
    key = values.get(b"sec-websocket-key", b"")
    connection = [item.strip() for item in lower(values.get(b"connection", b"")).split(b",")]
    if fault == "one-connection":
        connection = [lower(values.get(b"connection", b""))]
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        is_key = False
    upgrade = b"Upgrade" if fault == "case-matters" else b"upgrade"
    if not line.startswith(b"GET ") and fault != "any-method":
        return refuse(sock, b"405 Method Not Allowed")
    if not line.endswith(b"HTTP/1.1"):
        return refuse(sock, b"400 Bad Request")
    if version != b"13" and fault != "any-version":
        return refuse(sock, b"426 Upgrade Required", b"Sec-WebSocket-Version: 13\r\n")
    if lower(values.get(b"upgrade", b"")) != b"websocket" and fault != "any-upgrade":
        return refuse(sock, b"400 Bad Request")
    if upgrade not in connection and fault != "any-connection":
        return refuse(sock, b"400 Bad Request")
    if not is_key and fault != "any-key" or b"host" not in values:
        return refuse(sock, b"400 Bad Request")
    if sum(name == b"sec-websocket-key" for name, _ in fields) != 1 and fault != "any-key":
        return refuse(sock, b"400 Bad Request")
    accept = base64.b64encode(hashlib.sha1(key + (b"" if fault == "wrong-accept" else GUID)).digest())
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += b"Sec-WebSocket-Accept: " + accept + b"\r\n"
    deflate = None
    if b"sec-websocket-extensions" in values:
        agreed, deflate = negotiate(values[b"sec-websocket-extensions"], fault)
        if agreed:
            answer += b"Sec-WebSocket-Extensions: " + agreed + b"\r\n"
    if fault == "own-protocol":
        answer += b"Sec-WebSocket-Protocol: chat\r\n"
    if fault == "own-extension":
        answer += b"Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"
    sock.sendall(answer + b"\r\n")
    Connection(sock, fault, True, rest, deflate).run()
    return None


def server(port, fault):
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve_one, args=(sock, fault), daemon=True).start()


def client(port, fault):
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=3)
        except OSError:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(b"\x01" * 16 if fault == "constant-key" else os.urandom(16))
        request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        request += b"Sec-WebSocket-Key: " + key + b"\r\n"
        request += b"" if fault == "no-version" else b"Sec-WebSocket-Version: 13\r\n"
        try:
            sock.sendall(request + b"\r\n")
            line, fields, rest = read_head(sock)
        except (Ended, OSError):
            sock.close()
            continue
        values = dict(fields)
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        got = values.get(b"sec-websocket-accept", b"")
        is_right = (
            (line.startswith(b"HTTP/1.1 101") or fault == "any-status")
            and (values.get(b"upgrade", b"").lower() == b"websocket" or fault == "any-upgrade")
            and (b"upgrade" in values.get(b"connection", b"").lower() or fault == "any-connection")
            and (got == accept or fault == "any-accept" or fault == "accept-any-case" and got.lower() == accept.lower())
            and (b"sec-websocket-extensions" not in values or fault == "any-extension")
            and (b"sec-websocket-protocol" not in values or fault == "any-protocol")
        )
        if is_right:
            Connection(sock, fault, False, rest).run()
        sock.close()


if __name__ == "__main__":
    role, at, *more = sys.argv[1:]
    {"server": server, "client": client}[role](int(at), more[0] if more else None)
