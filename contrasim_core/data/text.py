"""Bundled English text: Python's own language reference, and the docstrings of scikit-learn."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

WORDS = (5, 60)  # sentences with fewer or more words are dropped
TEST_SHARE = 0.2
LIBRARY_PARTS = ("cluster", "decomposition", "ensemble", "linear_model", "metrics", "model_selection", "preprocessing")


def python_docs(split: str) -> tuple[list[str], list[str]]:
    """Return sentences of the language reference that Python's `help()` shows; they vary a little between versions."""
    from pydoc_data.topics import topics

    return _split(sentences(topics[name] for name in sorted(topics)), "python-docs", split)


def library_docs(split: str) -> tuple[list[str], list[str]]:
    """Return sentences from the docstrings of scikit-learn, read from its source without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("sklearn")
    assert spec is not None and spec.origin is not None  # noqa: S101 - it is a dependency
    root = Path(spec.origin).parent
    files = [file for part in LIBRARY_PARTS for file in sorted((root / part).glob("*.py"))]
    return _split(sentences(text for file in files for text in docstrings(file)), "library-docs", split)


def docstrings(file: Path) -> Iterator[str]:
    """Yield the docstrings of the module, its classes and its functions, in order of appearance."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def sentences(documents: Iterable[str]) -> list[str]:
    """Return the distinct sentences of plain prose, without code, tables, headings or parameter lists."""
    found: dict[str, None] = {}
    for document in documents:
        for paragraph in re.split(r"\n\s*\n", document):
            if _is_prose(paragraph):
                for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", _plain(paragraph)):
                    if WORDS[0] <= len(sentence.split()) <= WORDS[1] and sentence[-1] in ".!?":
                        found.setdefault(sentence)
    return list(found)


def _is_prose(paragraph: str) -> bool:
    lines = paragraph.splitlines()
    if any(line.startswith(("   ", "\t")) for line in lines[:1]) and lines[0].strip()[:1] in "*>-+|":
        return False
    return not re.search(r"::=|>>>|^\s*[-=*~+|]{3,}|^\s*\w+ : |\.\. |https?:|:math:|@", paragraph, re.MULTILINE)


def _plain(paragraph: str) -> str:
    """Return the paragraph on one line, without markup."""
    text = re.sub(r":\w+:`([^`<]*?)(?:\s*<[^>]*>)?`", r"\1", paragraph)
    text = re.sub(r"\*\*|``|`|_(?=\s|$)", "", text)
    return " ".join(text.split())


def _split(found: list[str], name: str, split: str) -> tuple[list[str], list[str]]:
    """Split off a fixed fifth of the sentences for testing; both parts are shuffled."""
    order = np.random.RandomState(0).permutation(len(found))
    border = int(len(found) * TEST_SHARE)
    chosen = order[:border] if split == "test" else order[border:]
    return [found[i] for i in chosen], [f"{name}-{i}" for i in chosen]
