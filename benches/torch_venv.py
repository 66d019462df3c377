"""A venv with PyTorch and what reads data, for the scripts beside this file: 6 GB from PyPI in target/bench-torch."""

import json
import pathlib
import subprocess
import sys

HOME = pathlib.Path(__file__).resolve().parent.parent / "target/bench-torch"
PACKAGES = ["torch==2.15.0", "numpy==2.4.6", "pyarrow==26.0.1", "pillow==13.0.0", "safetensors==0.8.0"]


def python():
    """Its python; installs what is missing."""
    stamp, here = HOME / "packages.json", HOME / "venv/bin/python"
    if not stamp.exists() or json.loads(stamp.read_text()) != PACKAGES:
        HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / "venv"], check=True)
        pip = [here, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        stamp.write_text(json.dumps(PACKAGES))
    return here
