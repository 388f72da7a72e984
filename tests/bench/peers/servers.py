"""Servers under test: started, waited for, asked, stopped."""
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time

import programs
import streams

CLIENTS = 16
PROMPT_TOKENS = 16
GENERATED_TOKENS = 128
WARM_UP_TOKENS = 8
START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server of one of the programs on a free port, up inside `with`."""

    def __init__(self, program, weights, setting, slots=CLIENTS, context=256):
        self.port = free_port()
        self.name = program.name
        self.ready_path = program.ready_path
        self.process = program.machine.start(program.serve(weights, setting, self.port, slots, context))

    def __enter__(self):
        end = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise programs.Failed(f"the server of {self.name} did not become ready: {' '.join(map(str, self.process.args))}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        # The group: what starts the server may have stayed before it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def is_ready(self):
        try:
            return self.request("GET", self.ready_path)[0] == 200
        except OSError:
            return False

    def request(self, method, path, fields=None):
        """(status, body) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_TIMEOUT_S)
        try:
            connection.request(method, path, fields and json.dumps(fields), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path, fields):
        status, body = self.request("POST", path, fields)
        if status != 200:
            raise programs.Failed(f"{self.name} answered {status} to {path}: {body[:500]!r}")
        return json.loads(body)


def stream_bodies(dice, tokens):
    """Random prompts, none alike: no server finds one in its cache."""
    return [{"prompt": [dice.randrange(256, 50256) for _ in range(PROMPT_TOKENS)], "max_tokens": tokens, "temperature": 0,
             "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}} for _ in range(CLIENTS)]


def measure_streams(program, weights, setting, seed):
    """tokens/s of CLIENTS streams at once, the prompts' prefill included."""
    dice = random.Random(seed)
    with Server(program, weights, setting) as server:
        streams.measure(server.port, stream_bodies(dice, WARM_UP_TOKENS))
        return streams.measure(server.port, stream_bodies(dice, GENERATED_TOKENS))


def follow_prenorm(program, ids, length):
    with Server(program, "f32", None) as server:
        told = server.post("/v1/completions", {"prompt": ids, "max_tokens": length, "temperature": 0, "ignore_eos": True,
                                               "return_token_ids": True})
        return told["choices"][0]["token_ids"]


def follow_llama(program, ids, length):
    with Server(program, "f32", program.settings("f32")[0]) as server:
        told = server.post("/completion", {"prompt": ids, "n_predict": length, "temperature": 0, "ignore_eos": True,
                                           "return_tokens": True})
        return told["tokens"]
