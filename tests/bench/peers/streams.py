"""Streaming clients that cost next to nothing: they share the cores with the server that they measure. Bytes are only collected
while the clock runs, and read afterwards. Standard library only."""
import dataclasses
import json
import selectors
import socket
import time


class BadAnswer(Exception):
    """A server did not answer as it was asked to."""


@dataclasses.dataclass
class Measured:
    tokens: int
    seconds: float  # from the first request to the last byte of the last stream
    client_seconds: float  # processor time of the clients within them

    @property
    def tokens_per_s(self):
        return self.tokens / self.seconds


def request_bytes(fields):
    body = json.dumps(fields).encode()
    head = ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def collect(port, requests, timeout_s):
    """Sends all requests at once: (the bytes of each answer, seconds, processor seconds)."""
    answers = [bytearray() for _ in requests]
    selector = selectors.EpollSelector()
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=timeout_s) for _ in requests]
    processor, started = time.process_time(), time.perf_counter()
    last = started
    for i, (connection, request) in enumerate(zip(sockets, requests)):
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ, i)
    while selector.get_map():
        if not (ready := selector.select(timeout_s)):
            raise BadAnswer(f"nothing came from port {port} for {timeout_s} s")
        for key, _ in ready:
            if data := key.fileobj.recv(1 << 16):
                answers[key.data] += data
                last = time.perf_counter()
            else:
                selector.unregister(key.fileobj)
    processor = time.process_time() - processor
    for connection in sockets:
        connection.close()
    return [bytes(answer) for answer in answers], last - started, processor


def body_of(answer):
    """The body of an HTTP answer, chunks joined."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split()
    if len(status) < 2 or status[1] != b"200":
        raise BadAnswer(f"{head.decode(errors='replace')}: {rest[:500].decode(errors='replace')}")
    if b"transfer-encoding: chunked" not in head.lower():
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2:]
    return body


def generated_tokens(answer):
    """What a stream's own usage says."""
    lines = [line[6:] for line in body_of(answer).splitlines() if line.startswith(b"data: ")]
    if not lines or lines[-1] != b"[DONE]":
        raise BadAnswer("a stream did not end in [DONE]")
    usages = [event["usage"] for line in lines[:-1] if (event := json.loads(line)).get("usage")]
    if not usages:
        raise BadAnswer("a stream had no usage")
    return usages[-1]["completion_tokens"]


def measure(port, bodies, timeout_s=120):
    """Runs a stream for each body, which names its max_tokens and asks for its usage."""
    answers, seconds, processor = collect(port, [request_bytes(body) for body in bodies], timeout_s)
    for body, answer in zip(bodies, answers):
        if (count := generated_tokens(answer)) != body["max_tokens"]:
            raise BadAnswer(f"a stream of {body['max_tokens']} tokens had {count}")
    return Measured(sum(body["max_tokens"] for body in bodies), seconds, processor)
