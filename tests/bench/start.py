#!/usr/bin/env python3
"""What a start costs: seconds and processor seconds from the start of the process to "ready", and what two daemons of the same model share:
their memory by /proc/PID/smaps_rollup, where a page of two processes counts for each as half (PSS).

    tests/bench/start.py build/release/prenormd deploy/models/tales FILE... [--starts 5] [options of prenormd serve]

The files are in the page cache: the first start is not counted.
"""
import re
import statistics
import time

import client
import command


def measure_start(program, model, more):
    started = time.perf_counter()
    daemon = client.Daemon(program, model, *more)
    told = time.perf_counter() - started, daemon.cpu_seconds()
    daemon.stop()
    return told


def memory_mib(daemon):
    """{Rss, Pss, Pss_File, ...} of a daemon."""
    with open(f"/proc/{daemon.process.pid}/smaps_rollup", encoding="ascii") as lines:
        return {name: int(kib) / 1024 for name, kib in re.findall(r"^(\w+): +(\d+) kB$", lines.read(), flags=re.M)}


def measure_memory(program, model, more):
    """Of one daemon alone, and of each of two."""
    first = client.Daemon(program, model, *more)
    alone = memory_mib(first)
    second = client.Daemon(program, model, *more)
    both = [memory_mib(first), memory_mib(second)]
    first.stop()
    second.stop()
    return alone, both


def main():
    parser = command.parser(__doc__, model=False, further=True)
    parser.add_argument("models", nargs="+", help="folders, or converted files")
    parser.add_argument("--starts", type=int, default=5, help="of each model, of which the median and the fewest seconds are told")
    options, more = parser.parse_known_args()
    print("| model | ready after, s: median, fewest | processor, s | RSS of one, MiB | PSS of one | PSS of two, together | of files | of its own |\n"
          + "|---" * 8 + "|")
    for model in options.models:
        measure_start(options.program, model, more)
        seconds, processor = zip(*(measure_start(options.program, model, more) for _ in range(options.starts)))
        alone, both = measure_memory(options.program, model, more)
        print(f"| {model} | {statistics.median(seconds):.2f}, {min(seconds):.2f} | {statistics.median(processor):.2f} "
              f"| {alone['Rss']:.0f} | {alone['Pss']:.0f} | {sum(m['Pss'] for m in both):.0f} "
              f"| {sum(m['Pss_File'] for m in both):.0f} | {sum(m['Pss_Anon'] for m in both):.0f} |", flush=True)


if __name__ == "__main__":
    main()
