"""Reads a recorded answer: which bytes came when, and so when each token came. Done when the clock has stopped."""
import bisect
import dataclasses
import json


class BadAnswer(Exception):
    """Bytes that are no answer to a stream."""


@dataclasses.dataclass
class Recording:
    """An answer as it came: all bytes, and how many of them were there at which time."""
    due: float  # when the request was to be sent; waiting for a connection counts
    data: bytearray = dataclasses.field(default_factory=bytearray)
    arrivals: list = dataclasses.field(default_factory=list)  # (bytes so far, time)

    def add(self, data, now):
        self.data += data
        self.arrivals.append((len(self.data), now))

    def time_of(self, end):
        """When the byte before this offset was there."""
        return self.arrivals[bisect.bisect_left(self.arrivals, (end, 0.0))][1]


@dataclasses.dataclass
class Sample:
    """What a client knows of one request. Seconds; of a refusal only the status."""
    status: int
    first: float = 0
    total: float = 0
    tokens: int = 0
    gaps: list = dataclasses.field(default_factory=list)


def head_end(data):
    """The offset of the body; -1 while the head is not whole."""
    end = data.find(b"\r\n\r\n")
    return end if end < 0 else end + 4


def header(head, name):
    for line in bytes(head).split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def status_of(data):
    words = bytes(data[:64]).split(maxsplit=2)
    if len(words) < 2 or not words[1].isdigit():
        raise BadAnswer(f"no status line: {bytes(data[:100])!r}")
    return int(words[1])


def is_whole(data):
    """Whether the answer is complete, its connection free for another request."""
    body = head_end(data)
    if body < 0:
        return False
    length = header(data[:body], b"content-length")
    if length is not None:
        return len(data) >= body + int(length)
    return data.endswith(b"\r\n0\r\n\r\n")  # no JSON has a bare line end


def chunks(data, begin):
    """(offset, bytes) of each chunk of a body in chunks."""
    while True:
        line = data.find(b"\r\n", begin)
        if line < 0:
            raise BadAnswer("a body ends within its chunks")
        size = int(data[begin:line], 16)
        if size == 0:
            return
        yield line + 2, data[line + 2:line + 2 + size]
        begin = line + 2 + size + 2


def events(data, begin):
    """(offset of its end, text) of each server-sent event; one may lie in two chunks."""
    rest = b""
    for offset, piece in chunks(data, begin):
        rest, held = rest + piece, len(rest)
        taken = 0
        while (end := rest.find(b"\n\n", taken)) >= 0:
            yield offset + end + 2 - held, rest[taken:end].removeprefix(b"data: ")
            taken = end + 2
        rest = rest[taken:]


def read(recording):
    """The sample of a complete recording."""
    data = bytes(recording.data)
    status = status_of(data)
    if status != 200:
        return Sample(status)
    times, tokens, ended = [], None, False
    for end, text in events(data, head_end(data)):
        if text == b"[DONE]":
            ended = True
            continue
        told = json.loads(text)
        if "error" in told:
            return Sample(500)
        if told.get("usage"):
            tokens = told["usage"]["completion_tokens"]
        if any(choice.get("text") for choice in told["choices"]):
            times.append(recording.time_of(end))
    if not ended or tokens is None or not times:
        raise BadAnswer(f"a stream without tokens, usage or [DONE]: {data[-300:]!r}")
    return Sample(status, times[0] - recording.due, recording.arrivals[-1][1] - recording.due, tokens,
                  [b - a for a, b in zip(times, times[1:])])
