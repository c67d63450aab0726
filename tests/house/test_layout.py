"""Tests mirror the package, folders explain themselves, names are the glossary's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "geoprose"
TESTS = ROOT / "tests"
FREE_TEST_FOLDERS = {"fixtures", "house", "parity", "invariants", "golden", "e2e", "docs", "examples"}
BANNED_WORDS = ("granule", "projector", "large_model", "small_model", "img_feature", "image_token_embed")
BANNED_IDENTIFIERS = re.compile(rf"(^|_)({'|'.join(BANNED_WORDS)})(_|$)")


def test_every_test_file_mirrors_a_source_file_or_folder() -> None:
    strays = []
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        if not folder.parts or folder.parts[0] in FREE_TEST_FOLDERS:
            continue
        if not (SOURCE / folder).is_dir():
            strays.append(str(path.relative_to(TESTS)))
    assert strays == []


def test_every_source_folder_has_tests() -> None:
    folders = {path.parent.relative_to(SOURCE).parts[0] for path in SOURCE.rglob("*.py") if path.parent != SOURCE}
    untested = {folder for folder in folders if not any((TESTS / folder).rglob("test_*.py"))}
    assert untested == set()


def test_every_folder_says_what_lives_there() -> None:
    for init in SOURCE.glob("*/__init__.py"):
        docstring = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert len(docstring.splitlines()) >= 3, init
        assert "Start at" in docstring, init


def test_identifiers_use_the_words_of_the_glossary() -> None:
    offenders = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "name", None) or getattr(node, "arg", None)
            if isinstance(name, str) and BANNED_IDENTIFIERS.search(name):
                offenders.append(f"{path.relative_to(SOURCE)}: {name}")
    assert offenders == []


def test_no_large_binary_is_in_the_tree() -> None:
    ignored = {".git", ".venv", "runs", "site", "node_modules"}
    large = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if not ignored & set(path.relative_to(ROOT).parts)
        and path.is_file()
        and path.suffix in {".png", ".tif", ".jpg", ".safetensors", ".npy", ".gguf", ".onnx"}
        and path.stat().st_size > 400_000
    ]
    assert large == []


def test_no_pickle_and_no_remote_code() -> None:
    offenders = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import) and any(alias.name in {"pickle", "joblib", "dill"} for alias in node.names):
                offenders.append(f"{path.relative_to(SOURCE)}:{node.lineno} pickle")
            if isinstance(node, ast.Call):
                offenders += [
                    f"{path.relative_to(SOURCE)}:{node.lineno} trust_remote_code"
                    for keyword in node.keywords
                    if keyword.arg == "trust_remote_code" and getattr(keyword.value, "value", True) is not False
                ]
                called = ast.unparse(node.func)
                if called in {"torch.load", "np.load", "numpy.load"} and not _is_safe_load(called, node):
                    offenders.append(f"{path.relative_to(SOURCE)}:{node.lineno} {called}")
    assert offenders == []


def _is_safe_load(called: str, node: ast.Call) -> bool:
    keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
    if called == "torch.load":  # the restricted unpickler builds tensors and nothing else
        return keywords.get("weights_only") is True
    return keywords.get("allow_pickle", False) is False
