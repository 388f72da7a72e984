#!/usr/bin/env python3
"""Packages that a check needs and that are not Debian's, from PyPI. Small ones come into a folder that is gone afterwards. Large
ones are kept in build/pypi, and are there only once somebody ran this file, as nightly.sh does. Standard library only."""
import importlib
import importlib.util
import os
import subprocess
import sys

NOT_RUN = 77  # the exit code of a check that could not be run here
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEPT = os.path.join(ROOT, "build", "pypi", f"python{sys.version_info[0]}.{sys.version_info[1]}")
# What the examples of the documentation and the checks of clients use, all together.
LARGE = ["openai", "langchain-openai", "litellm", "outlines", "llama-index-llms-openai-like", "instructor", "lm_eval[api]"]


def use_kept():
    """Lets this Python import what is kept; the folder."""
    if os.path.isdir(KEPT) and KEPT not in sys.path:
        sys.path.append(KEPT)
        importlib.invalidate_caches()
    return KEPT


def pip_install(folder, packages, seconds):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", folder,
               "--timeout", "5", "--retries", "0", *packages]
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds,
                              check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install(folder, packages):
    """Whether the modules can be imported afterwards: by themselves, or from the folder. packages: by module, what pip is to install."""
    def are_there():
        return all(importlib.util.find_spec(module) for module in packages)

    use_kept()
    if are_there():
        return True
    if not pip_install(folder, packages.values(), 120):
        return False
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    return are_there()


def main():
    os.makedirs(KEPT, exist_ok=True)
    if pip_install(KEPT, ["--upgrade", *LARGE], 3600):
        return 0
    print("not run: PyPI cannot be reached, or has no packages for this Python")
    return NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
