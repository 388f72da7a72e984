"""What is measured on, and with what: for the line above a table."""
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
# /proc/cpuinfo's words for what multiplies weights or widens them, on x86 and on AArch64.
INSTRUCTIONS = {
    "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "avx_vnni": "AVX-VNNI", "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16", "avx512_fp16": "AVX-512 FP16", "amx_int8": "AMX int8", "amx_bf16": "AMX bf16",
    "asimd": "NEON", "asimddp": "dotprod", "i8mm": "i8mm", "bf16": "bf16", "sve": "SVE", "sve2": "SVE2",
}
X86_NUMBERS = ("vendor_id", "cpu family", "model", "stepping")
AARCH64_NUMBERS = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")


def cores():
    """The logical CPUs that this process may use, those of a core together."""
    found = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        found.setdefault(siblings.read_text() if siblings.exists() else str(cpu), []).append(cpu)
    return list(found.values())


def default_threads():
    """Physical cores that this process may use."""
    return len(cores())


def one_a_core(found, threads):
    """A logical CPU for each thread, of a core of its own while there are such."""
    firsts, others = [core[0] for core in found], [cpu for core in found for cpu in core[1:]]
    return set((firsts + others)[:threads])


def pin(threads):
    """What is started from now on has a core for each thread, and no other."""
    os.sched_setaffinity(0, one_a_core(cores(), threads))


def cpu_fields(text):
    """{name: value} of the first processor in /proc/cpuinfo."""
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def describe_cpu(text):
    """Its name, its maker's numbers of it and its instruction sets, as the kernel tells them: a cloud's name for it may say little."""
    fields = cpu_fields(text)
    name = fields.get("model name", platform.machine())
    numbers = ", ".join(f"{key.removeprefix('CPU ')} {fields[key]}".removeprefix("vendor_id ")
                        for key in (X86_NUMBERS if "vendor_id" in fields else AARCH64_NUMBERS) if key in fields)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    sets = " ".join(told for flag, told in INSTRUCTIONS.items() if flag in flags)
    return name + (f" ({numbers})" if numbers else "") + (f", {sets}" if sets else "")


def cpu_text():
    return pathlib.Path("/proc/cpuinfo").read_text(errors="replace")


def cpu_name():
    return describe_cpu(cpu_text())


def cpu_flags():
    fields = cpu_fields(cpu_text())
    return fields.get("flags", fields.get("Features", "")).split()


def own_commit():
    found = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
