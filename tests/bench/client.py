"""A minimal HTTP client for load tests: the daemon under test, completions as streams, metrics. Standard library only."""
import asyncio
import json
import os
import re
import subprocess
import time


class Daemon:
    """prenormd on a port of its own choosing."""

    def __init__(self, program, model, *options):
        self.process = subprocess.Popen([program, "serve", "--model", model, "--port", "0", *options],
                                        stderr=subprocess.PIPE, text=True, bufsize=1)
        self.port = None
        for line in self.process.stderr:
            if found := re.search(r"listening on http://[^:]+:(\d+)", line):
                self.port = int(found[1])
            if "  ready: " in line:
                return
        raise SystemExit("the daemon did not start: " + line)

    def stop(self):
        """Drains; returns the exit code."""
        self.process.terminate()
        self.process.stderr.close()
        return self.process.wait()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


async def get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


async def metrics(port):
    """Samples without histograms' buckets: name (labels left out) -> value, summed over labels."""
    _, text = await get(port, "/metrics")
    values = {}
    for line in text.splitlines():
        if line.startswith("#") or "_bucket{" in line:
            continue
        name, value = line.rsplit(" ", 1)
        name = name.partition("{")[0]
        values[name] = values.get(name, 0) + float(value)
    return values


class Refused(Exception):
    """An answer other than 200; status and body."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status


async def complete(port, fields, leave_after=None, arrivals=None):
    """One streamed completion: (text, finish_reason, seconds of each chunk with text since the request was sent). With
    leave_after the connection is dropped after so many chunks (finish_reason is then None). With return_token_ids among the
    fields the time of each token (perf_counter) is appended to arrivals as it comes: a chunk of its own even where its
    bytes are not text yet."""
    body = json.dumps({**fields, "stream": True}).encode()
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    status = int((await reader.readline()).split()[1])
    while (await reader.readline()).strip():
        pass
    if status != 200:
        answer = (await reader.read()).decode()
        writer.close()
        raise Refused(status, answer)
    text, finish, times = "", None, []
    async for line in reader:
        if not line.startswith(b"data: "):
            continue
        if line.strip() == b"data: [DONE]":
            break
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise Refused(500, chunk["error"]["message"])
        choice = chunk["choices"][0]
        text += choice["text"]
        finish = choice["finish_reason"] or finish
        now = time.perf_counter()
        times.append(now - started)
        if arrivals is not None:
            arrivals.extend(now for _ in choice.get("token_ids") or [])
        if leave_after is not None and len(times) >= leave_after:
            finish = None
            break
    writer.close()
    return text, finish, times
