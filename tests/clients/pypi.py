"""Packages that a check needs and that are not Debian's: from PyPI, into a folder that is gone afterwards. Standard library only."""
import importlib
import importlib.util
import subprocess
import sys

NOT_RUN = 77  # the exit code of a check that could not be run here


def install(folder, packages):
    """Whether the modules can be imported afterwards: by themselves, or from the folder. packages: by module, what pip is to install."""
    def are_there():
        return all(importlib.util.find_spec(module) for module in packages)

    if are_there():
        return True
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", folder,
               "--timeout", "5", "--retries", "0", *packages.values()]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    return done.returncode == 0 and are_there()
