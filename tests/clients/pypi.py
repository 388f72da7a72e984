#!/usr/bin/env python3
"""Packages from PyPI that checks need and that are not Debian's: kept in build/pypi, so that they are fetched once.
tests/clients/pypi.py installs what tests/run.sh uses and is not there; with --all the newest of what is written about in
docs/clients.md, which nightly.sh does. Standard library only. What this Python has of them is used as
it is, unless something is missing."""
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

NOT_RUN = 77  # the exit code of a check that could not be run here
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEPT = os.path.join(ROOT, "build", "pypi", f"python{sys.version_info[0]}.{sys.version_info[1]}")
# By module. Together, so that their versions agree.
USUAL = {"openai": "openai", "langchain_openai": "langchain-openai", "lm_eval": "lm_eval[api]", "tenacity": "tenacity",
         "openapi_spec_validator": "openapi-spec-validator", "jsonschema": "jsonschema"}
OTHERS = ["litellm", "outlines", "llama-index-llms-openai-like>=0.8", "instructor", "guidance",
          "pydantic-ai-slim[openai]", "haystack-ai", "llm"]
SECONDS_MAX = 300


def use_kept():
    """Lets this Python import what is kept, before what it has, whose versions may not agree; the folder."""
    if KEPT not in sys.path:
        sys.path.insert(1, KEPT)
    importlib.invalidate_caches()
    return KEPT


def has(modules):
    return all(importlib.util.find_spec(module) for module in modules)


def run(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS_MAX,
                              check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install(packages):
    """Whether it worked. By uv, which takes a fifth of pip's time. What is kept is replaced as a whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        if not run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target",
                    folder, "--timeout", "5", "--retries", "0", "uv"]):
            return False
        new = KEPT + ".new"
        shutil.rmtree(new, ignore_errors=True)
        if not run([os.path.join(folder, "bin", "uv"), "pip", "install", "--quiet", "--no-cache", "--python", sys.executable,
                    "--target", new, *packages]):
            return False
    shutil.rmtree(KEPT, ignore_errors=True)
    os.replace(new, KEPT)
    importlib.invalidate_caches()
    return True


def want(modules):
    """Whether the modules can be imported: they are here, are kept, or could be had just now."""
    if has(modules):
        return True
    use_kept()
    return has(modules) or (set(modules) <= set(USUAL) and install(USUAL.values()) and has(modules))


def main():
    if install([*USUAL.values(), *OTHERS]) if "--all" in sys.argv else want(USUAL):
        return 0
    print("not run: PyPI cannot be reached, or has no packages for this Python")
    return NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
