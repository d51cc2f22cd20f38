"""A table in the paper's layout: its cells, its files, and the paper's own numbers next to it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from contrasim_core.measure.facts import label_of
from contrasim_core.runs.retrieval.insights import of_retrieval
from contrasim_core.runs.retrieval.result import RetrievalLine, RetrievalResult
from contrasim_core.store import write_atomic

NUMBERS = Path(__file__).with_name("numbers.json")
STYLE = (
    "body{font-family:system-ui;margin:2rem}table{border-collapse:collapse}"
    "td,th{padding:.3rem .7rem;border-bottom:1px solid #ccc;text-align:right}"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """A table in the paper's layout, and the long form behind it.

    Attributes:
        wide: the table for people; cells are text.
        long: one row per number, pair and seed, with intervals, trials and chance.
        caption: models, data, chance.
        picture: a plotly figure for the figures, else None.
        says: sentences that the numbers support.
    """

    wide: pd.DataFrame
    long: pd.DataFrame
    caption: str
    picture: Any = None
    says: tuple[str, ...] = ()


def sheet_of(result: RetrievalResult, frame: pd.DataFrame, picture: Any = None) -> Sheet:
    """Return a table of the multilingual or image-caption benchmark with its caption and its sentences."""
    recipe = "; ".join(f"{name} {value}" for name, value in result.recipe.items() if value)
    chance = 100 / (1 + result.random.shape[1])
    caption = (
        f"{recipe}. Accuracy (%), mean ± std over pairs or seeds, brackets: 95 % interval over {len(result.batches)} "
        f"batches. Chance {chance:.1f} %. Ties are misses. Learned measures: over pairs that the encoder was not "
        "trained on, if there are any."
    )
    says = tuple(item.text for item in of_retrieval(result))
    return Sheet(wide=frame, long=result.to_pandas(), caption=caption, picture=picture, says=says)


def line_cell(line: RetrievalLine) -> str:
    """Format a line's accuracy, or a dash."""
    return "–" if line.reason else cell(line.accuracy, line.std, line.low, line.high)


def cell(accuracy: float, std: float, low: float, high: float) -> str:
    """Format percent, ± std if there is one, and the interval."""
    if math.isnan(accuracy):
        return "–"
    spread = "" if math.isnan(std) else f" ± {100 * std:.1f}"
    return f"{100 * accuracy:.1f}{spread} [{100 * low:.0f}, {100 * high:.0f}]"


def write(name: str, title: str, sheet: Sheet, folder: Path) -> None:
    """Write `NAME.csv`, `NAME.md`, `NAME.html` (the paper's layout), and `NAME-numbers.csv` (one row per number)."""
    title = f"{name.replace('-', ' ').capitalize()}. {title}"
    sheet.wide.to_csv(folder / f"{name}.csv")
    sheet.long.to_csv(folder / f"{name}-numbers.csv", index=False)
    says = "".join(f"- {text}\n" for text in sheet.says)
    write_atomic(folder / f"{name}.md", f"# {title}\n\n{_markdown(sheet.wide)}\n{sheet.caption}\n\n{says}")
    picture = "" if sheet.picture is None else sheet.picture.to_html(full_html=False, include_plotlyjs=True)
    listed = "".join(f"<li>{text}</li>" for text in sheet.says)
    write_atomic(
        folder / f"{name}.html",
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{picture}{sheet.wide.to_html(border=0)}<p>{sheet.caption}</p><ul>{listed}</ul>\n",
    )


def _markdown(frame: pd.DataFrame) -> str:
    heading = [str(frame.index.name or ""), *map(str, frame.columns)]
    lines = [heading, ["---"] * len(heading)]
    lines += [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def paper_numbers() -> dict[str, Any]:
    """Return the paper's own numbers: by item `columns`, and `rows` of [accuracy, std] in percent."""
    numbers: dict[str, Any] = json.loads(NUMBERS.read_text(encoding="utf-8"))
    return numbers


def beside_paper(name: str, sheet: Sheet) -> Sheet:
    """Return the sheet with the paper's numbers below ours, if the paper has this table.

    The paper's columns are in our order. If it has more, the last ones are dropped: its vision models, which were not
    published.
    """
    known = paper_numbers().get(name)
    if known is None:
        return sheet
    columns = sheet.wide.columns
    rows = [[" ± ".join(f"{part:g}" for part in number) for number in row] for row in known["rows"].values()]
    names = [f"paper: {_row_name(row)}" for row in known["rows"]]
    index = pd.Index(names, name=sheet.wide.index.name)
    theirs = pd.DataFrame([row[: len(columns)] for row in rows], index=index, columns=columns)
    return replace(
        sheet,
        wide=pd.concat([sheet.wide, theirs]).fillna("–"),
        caption=f"{sheet.caption} Rows that start with `paper` are the paper's own numbers.",
    )


def _row_name(row: str) -> str:
    """Name a row of the paper's numbers like ours: `random|cka.linear`, `contrasim, trained on the first`."""
    kind, bar, rest = row.rpartition("|")
    measure, comma, training = rest.partition(", ")
    known = measure if measure.isdigit() else label_of(measure)
    return f"{kind}{': ' if bar else ''}{known}{comma}{training}"
