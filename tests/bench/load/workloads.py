"""What clients ask for. requests.lua makes the same requests for wrk, from the same figures."""
import dataclasses
import json
import random

FIRST_TEXT_ID = 256  # prompts are of ids that are no single bytes, whose text a server may have to hold back
PREFIXES = 4  # different beginnings that prompts share, where they share one


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    what: str
    prompts: tuple  # lengths in tokens, each as likely as another
    answers: tuple  # likewise
    shared: int = 0  # tokens at the beginning that are one of PREFIXES
    streams: bool = False  # wrk's requests; those of the client that takes times always are

    def __post_init__(self):
        assert self.shared < min(self.prompts)

    def arguments(self, vocabulary, seed):
        """For requests.lua."""
        return [",".join(map(str, self.prompts)), ",".join(map(str, self.answers)), str(self.shared), str(PREFIXES),
                str(int(self.streams)), str(FIRST_TEXT_ID), str(vocabulary - 2), str(seed)]


WORKLOADS = {item.name: item for item in (
    Workload("completions", "whole answers, 32 tokens in, 32 out", (32,), (32,)),
    Workload("streams", "streams, 32 tokens in, 32 out", (32,), (32,), streams=True),
    Workload("mixed", "whole answers, 8 to 256 tokens in, 4 to 128 out", (8, 32, 64, 256), (4, 16, 32, 128)),
    Workload("prefix", f"whole answers, 160 tokens in, of which 128 are one of {PREFIXES} beginnings, 32 out", (160,), (32,),
             shared=128),
)}


class Requests:
    """Streams of a workload without end, each with a prompt of its own."""

    def __init__(self, workload, vocabulary, seed):
        self.workload, self.dice = workload, random.Random(seed)
        self.ids = range(FIRST_TEXT_ID, vocabulary - 1)
        shared = random.Random(0)
        self.prefixes = [shared.choices(self.ids, k=workload.shared) for _ in range(PREFIXES)]

    def next_body(self):
        own = self.dice.choice(self.workload.prompts) - self.workload.shared
        return json.dumps({
            "prompt": self.dice.choice(self.prefixes) + self.dice.choices(self.ids, k=own),
            "max_tokens": self.dice.choice(self.workload.answers), "temperature": 0, "ignore_eos": True, "stream": True,
            "stream_options": {"include_usage": True}}).encode()

    def next_bytes(self):
        body = self.next_body()
        return (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
