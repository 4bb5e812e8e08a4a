"""How to install an extra that is missing, as every message tells it."""

import shutil
import sys
from pathlib import Path

PROJECT = "pocketgan"
"""Name of the package."""
_OWN_UV = ".tools/bin/uv"


def install_command(extra: str) -> str:
    """Return the commands that install an extra: from this checkout, where the tool runs from one."""
    checkout = find_checkout()
    if checkout is None:
        return f"{sys.executable} -m pip install '{PROJECT}[{extra}]'"
    # `make` keeps its own uv beside the code where there is none.
    uv = "uv" if shutil.which("uv") or not (checkout / _OWN_UV).is_file() else _OWN_UV
    return f"cd {checkout} && {uv} sync --inexact --no-default-groups --extra {extra}, or pip install -e '.[{extra}]'"


def find_checkout() -> Path | None:
    """Return the folder of the checkout that this tool runs from; None where it is installed as a package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "uv.lock").is_file() else None
