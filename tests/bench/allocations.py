#!/usr/bin/env python3
"""How often a generated token allocates: calls of malloc, calloc and realloc for one token more of a completion, with 0, 5
and 20 log probabilities, whole and streamed; those of the loop thread, and those of all others.

    tests/bench/allocations.py build/release/prenormd deploy/models/tales [--tokens 100]

Counted, not timed: the machine may do other things. Needs cc and glibc. The figure is the difference of two completions
of different length, the least of some rounds, as ticks of timers allocate too.
"""
import http.client
import json
import os
import pathlib
import struct
import subprocess
import tempfile

import client
import command

ROUNDS = 5
SHORT = 8


def post(port, fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/completions", json.dumps(fields), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(body.decode())


class Counted:
    """prenormd with the counter in front of its C library."""

    def __init__(self, program, model, folder):
        library = os.path.join(folder, "count_allocations.so")
        self.counts = os.path.join(folder, "counts")
        source = pathlib.Path(__file__).with_name("count_allocations.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
        pathlib.Path(self.counts).write_bytes(bytes(16))
        os.environ.update(LD_PRELOAD=library, ALLOCATION_COUNTS=self.counts)
        self.daemon = client.Daemon(program, model)
        del os.environ["LD_PRELOAD"]

    def read(self):
        return struct.unpack("QQ", pathlib.Path(self.counts).read_bytes())

    def cost(self, fields):
        """Allocations of one completion, by the loop thread and by the others: the least of some rounds."""
        found = []
        for _ in range(ROUNDS):
            before = self.read()
            post(self.daemon.port, fields)
            found.append([after - earlier for after, earlier in zip(self.read(), before)])
        return [min(each) for each in zip(*found)]


def main():
    parser = command.parser(__doc__)
    parser.add_argument("--tokens", type=int, default=100, help="more of the longer completion")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counted = Counted(arguments.program, arguments.model, folder)
        for stream in (False, True):
            for logprobs in (0, 5, 20):
                fields = {"prompt": "Once upon a time", "temperature": 0, "ignore_eos": True, "stream": stream}
                if logprobs:
                    fields["logprobs"] = logprobs
                short = counted.cost({**fields, "max_tokens": SHORT})
                long = counted.cost({**fields, "max_tokens": SHORT + arguments.tokens})
                loop, others = ((b - a) / arguments.tokens for a, b in zip(short, long))
                print(f"{'streamed' if stream else 'whole':8} {logprobs:2} log probabilities: {loop:.2f} of the loop "
                      f"thread, {others:.2f} of others, for a token", flush=True)
        counted.daemon.stop()


if __name__ == "__main__":
    main()
