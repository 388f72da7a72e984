"""wrk, with the scripts of this folder: a closed loop over some connections."""
import dataclasses
import json
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 120  # past it wrk counts an answer as missing


class Failed(Exception):
    """wrk is missing or did not do its work."""


@dataclasses.dataclass
class Counted:
    """What wrk saw. Answers that had not ended with the time are not in it."""
    seconds: float = 0
    answers: int = 0
    refused: int = 0  # 429 or 503
    failed: int = 0  # any other status
    unanswered: int = 0  # connections that broke, and answers that did not come
    tokens: int = 0
    histogram: list = dataclasses.field(default_factory=list)  # (seconds, how many), of all answers, refusals too


def read(output):
    """From what common.lua prints behind wrk's own text."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise Failed(f"wrk printed no figures: {output[-1000:]}")
    told = json.loads(lines[0])
    histogram = [(microseconds / 1e6, count) for microseconds, count in told.pop("microseconds")]
    return Counted(histogram=histogram, **told)


class Wrk:
    """Runs inside `with`; its figures are there behind it."""

    def __init__(self, port, script, connections, seconds, path, arguments=()):
        if not shutil.which("wrk"):
            raise Failed("wrk is not installed (Debian: apt-get install wrk)")
        self.command = ["wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--timeout", f"{TIMEOUT_S}s", "-s", script,
                        f"http://127.0.0.1:{port}{path}", "--", *arguments]
        self.limit = seconds + TIMEOUT_S

    def __enter__(self):
        self.process = subprocess.Popen([str(word) for word in self.command], cwd=HERE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        output, _ = self.process.communicate(timeout=self.limit)
        if not kind:
            if self.process.returncode:
                raise Failed(f"wrk ended with {self.process.returncode}: {output[-1000:]}")
            self.counted = read(output)


def run(*arguments):
    with Wrk(*arguments) as running:
        pass
    return running.counted
