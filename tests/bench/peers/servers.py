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
FIRST_TEXT_ID = 256  # of the tokenizer of make_model.py: before it are bytes, and last its end token
CONTEXT = 256  # of each sequence: room for prompt and answer
START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server of one of the programs on a free port, up inside `with`."""

    def __init__(self, program, weights, setting, slots=CLIENTS, context=CONTEXT):
        self.port = free_port()
        self.program, self.weights, self.setting = program, weights, setting
        self.slots, self.context = slots, context
        self.log = program.cache.folder / f"server-{program.name}.log"

    def __enter__(self):
        command = self.program.serve(self.weights, self.setting, self.port, self.slots, self.context)
        self.process = self.program.machine.start(command, self.log)
        try:
            self.await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def await_ready(self):
        end = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                command = " ".join(map(str, self.process.args))
                raise programs.Failed(f"the server of {self.program.name} did not become ready: {command}\n"
                                      f"What it said is in {self.log}")
            time.sleep(0.05)

    def stop(self):
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
            return self.request("GET", self.program.ready_path)[0] == 200
        except (OSError, http.client.HTTPException):
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
            raise programs.Failed(f"{self.program.name} answered {status} to {path}: {body[:500]!r}")
        return json.loads(body)


def random_ids(dice, vocabulary):
    """A prompt of ids that are not single bytes, whose text a server may have to hold back."""
    return [dice.randrange(FIRST_TEXT_ID, vocabulary - 1) for _ in range(PROMPT_TOKENS)]


def stream_bodies(dice, vocabulary, tokens):
    """Random prompts, none alike: no server finds one in its cache."""
    fields = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
    return [{**fields, "prompt": random_ids(dice, vocabulary)} for _ in range(CLIENTS)]


def measure_streams(program, weights, setting, seed):
    """tokens/s of CLIENTS streams at once, the prompts' prefill included."""
    dice, vocabulary = random.Random(seed), program.cache.config()["vocab_size"]
    with Server(program, weights, setting) as server:
        streams.measure(server.port, stream_bodies(dice, vocabulary, WARM_UP_TOKENS))
        return streams.measure(server.port, stream_bodies(dice, vocabulary, GENERATED_TOKENS))


def follow_prenorm(program, ids, length):
    with Server(program, "f32", None) as server:
        told = server.post("/v1/completions", {"prompt": ids, "max_tokens": length, "temperature": 0, "ignore_eos": True,
                                               "return_token_ids": True})
        return told["choices"][0]["token_ids"]
