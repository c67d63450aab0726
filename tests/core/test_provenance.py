"""What every record of a run says about its making."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import torch

from geoprose.core import provenance

if TYPE_CHECKING:
    import pytest


def test_no_git_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.git_commit() is None


def test_absent_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("torch", "no-such-package"))
    versions = provenance.package_versions()
    assert versions["no-such-package"] == "absent"
    assert versions["torch"] == torch.__version__
    assert list(versions) == ["python", "torch", "no-such-package"]


def test_the_hardware_of_a_process_with_torch_names_its_threads() -> None:
    found = provenance.hardware()
    assert found["threads"] == torch.get_num_threads()
    assert set(found) == {"machine", "system", "cpus", "threads", "cpu_capability", "accelerator"}


def test_asking_does_not_load_torch() -> None:
    code = (
        "import json, sys; from geoprose.core.provenance import hardware; "
        "print(json.dumps([list(hardware()), 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["machine", "system", "cpus"], False]


def test_memory_is_counted_in_bytes_and_never_falls() -> None:
    before = provenance.peak_memory_bytes()
    held = bytearray(64 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    assert provenance.peak_memory_bytes() >= before > 10 * 2**20
    assert provenance.peak_memory_bytes(with_children=True) >= provenance.peak_memory_bytes() - 2**20


def test_training_and_evaluation_ask_the_same_piece() -> None:
    from geoprose.evaluation import run_record as of_evaluation
    from geoprose.training.logs import run_record as of_training

    assert of_evaluation.provenance is of_training.provenance is provenance
