#!/usr/bin/env python3
"""What a start costs: seconds and processor seconds from the start of the process to "ready", and what two daemons of the same model share:
their memory by /proc/PID/smaps_rollup, where a page of two processes counts for each as half (PSS).

    tests/bench/start.py build/release/prenormd deploy/models/tales FILE... [--starts 5] [options of prenormd serve]

Of a model that is too large for the disk at hand, from folders with fewer of its layers, and from converted files of them: what a layer costs, and
what the whole would, by a straight line. (Nothing else is measured then; the folders are removed.)

    tests/bench/start.py build/release/prenormd --shape gpt-neox-6.9b --layers 1,4 --weights int8 [--starts 5]

The files are in the page cache: the first start is not counted.
"""
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time

import client
import command
import large_model


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


def watch_anonymous(process, peak):
    """Raises peak[0] to the most anonymous memory in MiB that the process has had, until it is seen no more."""
    while process.poll() is None and not peak[1]:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
                found = re.search(r"^RssAnon:\s+(\d+)", lines.read(), flags=re.M)
        except OSError:
            return
        peak[0] = max(peak[0], int(found[1]) / 1024 if found else 0)
        time.sleep(0.02)


def measure_conversion(program, model, out, more):
    """Converts, and returns the peak of anonymous memory in MiB: all but writing the file is what a start does."""
    peak = [0, False]
    with subprocess.Popen([program, "convert", "--model", model, "--out", out, "--log-level", "warn", *more], stdout=subprocess.DEVNULL) as process:
        watcher = threading.Thread(target=watch_anonymous, args=(process, peak))
        watcher.start()
        if process.wait() != 0:
            raise SystemExit(f"{model} was not converted")
        peak[1] = True
        watcher.join()
    return peak[0]


def median_start(program, model, starts, more):
    """Seconds, the median, and processor seconds, the fewest: what is more is other programs'."""
    more = [*more, "--kv-cache-mib", "256"]
    measure_start(program, model, more)
    seconds, processor = zip(*(measure_start(program, model, more) for _ in range(starts)))
    return statistics.median(seconds), min(processor)


def measure_layers(options, layers, folder, more):
    """Processor seconds from the folder and from the file, by which lines are drawn. Prints a row."""
    model, file = os.path.join(folder, "model"), os.path.join(folder, "converted")
    large_model.write_model(model, options.shape, layers)
    peak = measure_conversion(options.program, model, file, more)
    seconds, processor = median_start(options.program, model, options.starts, more)
    from_file, file_processor = median_start(options.program, file, options.starts, more)
    busy = processor / seconds / len(os.sched_getaffinity(0))
    print(f"| {layers} | {seconds:.2f} | {processor:.2f} | {busy:.0%} | {peak:.0f} | {from_file:.2f} | {file_processor:.2f} |", flush=True)
    os.remove(file)
    os.remove(os.path.join(model, "model.safetensors"))
    return processor, file_processor


def measure_shape(options, more):
    """A row for each number of layers, then the whole model by the processor's time of the first and the last of them."""
    counts = [int(count) for count in options.layers.split(",")]
    if len(counts) < 2 or counts[0] >= counts[-1]:
        raise SystemExit(f"--layers {options.layers}: two numbers or more, ascending, are needed to tell a layer from the rest")
    whole, cores = large_model.SHAPES[options.shape][2], len(os.sched_getaffinity(0))
    print(f"{options.shape} {' '.join(more)}\n\n| layers | ready after, s | processor, s | cores busy | peak anonymous, MiB | from the file, s "
          "| processor, s |\n" + "|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure_layers(options, count, folder, more) for count in counts]
    for name, first, last in zip(("folder", "converted file"), rows[0], rows[-1]):
        layer = (last - first) / (counts[-1] - counts[0])
        total = first + layer * (whole - counts[0])
        print(f"\nextrapolated, {name}: {layer:.3f} processor seconds a layer, {total:.1f} for {whole} layers: "
              f"{total / cores:.1f} s on {cores} cores")


def main():
    parser = command.parser(__doc__, model=False, further=True)
    parser.add_argument("models", nargs="*", help="folders, or converted files")
    parser.add_argument("--starts", type=int, default=5, help="of each model, of which the median and the fewest seconds are told")
    parser.add_argument("--shape", choices=large_model.SHAPES, help="in place of models: with random weights")
    parser.add_argument("--layers", default="1,4", help="of that shape")
    options, more = parser.parse_known_args()
    if options.shape:
        measure_shape(options, more)
        return
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
