"""The dashboard's process stays light: neither torch nor umap is ever loaded into it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VISIT = """
import sys
from streamlit.testing.v1 import AppTest
for name in ("overview", "compare", "train_encoder", "benchmarks", "projections", "jobs", "about"):
    app = AppTest.from_file("app.py", default_timeout=60).run()
    app.switch_page(f"pages/{name}.py").run()
    assert not app.exception, (name, app.exception)
heavy = [name for name in ("torch", "transformers", "umap", "faiss", "sklearn", "numba") if name in sys.modules]
assert not heavy, heavy
"""


def test_all_pages_without_torch(tmp_path):
    environment = {**os.environ, "CONTRASIM_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", VISIT], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
