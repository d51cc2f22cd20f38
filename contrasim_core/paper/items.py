"""The tables and figures, each with its runs and its layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from contrasim_core.errors import SpecError
from contrasim_core.measure.facts import label_of
from contrasim_core.models.find import resolve_model
from contrasim_core.paper.bench import Bench, captions, layer_specs, multilingual
from contrasim_core.paper.sheets import Sheet, beside_paper, cell, line_cell, sheet_of, write
from contrasim_core.progress import share
from contrasim_core.refs import Pooling
from contrasim_core.runs.keep import run
from contrasim_core.runs.layer_prediction.insights import of_layer_prediction
from contrasim_core.runs.layer_prediction.result import BenchmarkResult
from contrasim_core.runs.projection.figures import before_and_after
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.projection.words import words_of_projection
from contrasim_core.runs.retrieval import presets as presets_paired
from contrasim_core.runs.retrieval.figures import caption_bars
from contrasim_core.runs.retrieval.result import RetrievalResult
from contrasim_core.runs.retrieval.spec import Negatives, RetrievalSpec

MAIN = ("cka.linear", "deepcka", "deepdot", "contrasim")
EXTRA = ("dot", "norm", "contrasim.norm")
LAYERED = ("pwcca", "cka.linear", "deepdot", "deepcka", "contrasim")
LAYERED_EXTRA = ("svcca", "dot", "norm", "contrasim.norm")
LEARNED = ("deepdot", "deepcka", "contrasim", "contrasim.norm")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or a figure.

    Attributes:
        name: such as `table-2` or `figure-5`.
        title: its topic.
        make: runs what it needs and returns its sheet.
    """

    name: str
    title: str
    make: Callable[[Bench], Sheet]


def _layer_table(measures: Sequence[str], *, vision: bool) -> Callable[[Bench], Sheet]:
    def make(bench: Bench) -> Sheet:
        columns: list[tuple[str, BenchmarkResult, BenchmarkResult]] = []
        kinds = [("language models", "text 1", "text 2")]
        kinds += [("vision models", "images 1", "images 2")] if vision else []
        missing = []
        for number, (models, first, second) in enumerate(kinds):
            names = [bench.source(role) for role in (models, first, second)]
            if None in names:
                missing.append(models)
                continue
            specs = layer_specs(bench, names[0] or "", names[1] or "", names[2] or "", measures)
            step = share(bench.progress, number, len(kinds))
            results = [
                run(spec, store=bench.store, execution=bench.execution, progress=share(step, place, 2))
                for place, spec in enumerate(specs)
            ]
            data = [Path(name or "").name if Path(name or "").exists() else name or "" for name in names]
            columns += [(data[1], results[0], results[1]), (data[2], results[1], results[0])]
        if not columns:
            raise SpecError(f"This scale has no {' and no '.join(missing)}.")
        return _lay_layers(columns, measures, missing)

    return make


def _lay_layers(
    columns: Sequence[tuple[str, BenchmarkResult, BenchmarkResult]], measures: Sequence[str], missing: Sequence[str]
) -> Sheet:
    wide: dict[str, dict[str, str]] = {}
    long = []
    for place, (data, own, other) in enumerate(columns):
        tables = {"seen": own.summary(), "transfer": other.summary()}
        for protocol, table in tables.items():
            for row in table[table["protocol"] == protocol].to_dict("records"):
                measure = str(row["measure"])
                if measure in LEARNED and measure.startswith("contrasim"):
                    first = (protocol == "seen") == (place % 2 == 0)
                    name = f"{label_of(measure)}, trained on the {'first' if first else 'second'}"
                elif protocol == "seen":
                    name = label_of(measure)
                else:
                    continue
                wide.setdefault(name, {})[data] = cell(row["accuracy"], row["std"], row["low"], row["high"])
                long.append({"data": data, **row})
    order = [label_of(name) for name in measures]
    names = sorted(wide, key=lambda name: (order.index(name.partition(", trained")[0]), name))
    frame = pd.DataFrame([wide[name] for name in names], index=names)
    first_result = columns[0][1]
    chance = 1 / len(first_result.layers)
    note = f" Omitted: {', '.join(missing)}, which are not published." if missing else ""
    caption = (
        f"Layer prediction, accuracy (%) over {len(first_result.pairs['seen'])} disjoint pairs of models, "
        f"{int(first_result.records[0].trials)} trials per column; ± std over seeds, brackets: 95 % interval. "
        f"Chance {100 * chance:.1f} %. Pairs of columns are data sets for the same models; ContraSim is trained on "
        f"the first or the second of them.{note}"
    )
    says = tuple(f"{data}: {item.text}" for data, own, _ in columns for item in of_layer_prediction(own))
    return Sheet(wide=frame, long=pd.DataFrame(long), caption=caption, says=says)


def _layerwise(role: str, pooling: Pooling, measures: Sequence[str]) -> Callable[[Bench], Sheet]:
    """Lay out layers down and measures across, for random and FAISS."""

    def make(bench: Bench) -> Sheet:
        result = _retrieve(bench, multilingual(bench, role, pooling, measures))
        lines = {(line.negatives, line.measure, line.layer): line for line in result.lines if line.pair_group == "all"}
        columns: list[tuple[Negatives, str]] = [(kind, name) for kind in ("random", "faiss") for name in measures]
        frame = pd.DataFrame(
            [[line_cell(lines[kind, name, layer]) for kind, name in columns] for layer in result.layers],
            index=pd.Index(result.layers, name="layer"),
            columns=[f"{kind}: {label_of(name)}" for kind, name in columns],
        )
        return sheet_of(result, frame)

    return make


def _clip_table(bench: Bench) -> Sheet:
    measures = ("cka.linear", "dot", "deepcka", "deepdot", "contrasim")
    result = _retrieve(bench, captions(bench, measures, clip=True))
    lines = {(line.measure, line.negatives): line for line in result.lines if line.pair_group == "all"}
    frame = pd.DataFrame(
        [[line_cell(lines[name, kind]) for kind in ("random", "faiss")] for name in measures],
        index=[label_of(name) for name in measures],
        columns=["random", "faiss"],
    )
    return sheet_of(result, frame)


def _pairs_table(measures: Sequence[str], *, picture: bool) -> Callable[[Bench], Sheet]:
    """Lay out pairs of models across and measures down, for random and FAISS."""

    def make(bench: Bench) -> Sheet:
        result = _retrieve(bench, captions(bench, measures))
        records = result.to_pandas()
        pairs = [result.pair_name(place) for place in range(len(result.pairs))]
        rows, names = [], []
        for kind in ("random", "faiss"):
            for measure in measures:
                part = records[(records["measure"] == measure) & (records["negatives"] == kind)]
                names.append(f"{kind}: {label_of(measure)}")
                rows.append({pair: _of_pair(part[part["pair"] == pair]) for pair in pairs})
        drawn = caption_bars(records) if picture else None
        return sheet_of(result, pd.DataFrame(rows, index=names), drawn)

    return make


def _of_pair(part: pd.DataFrame) -> str:
    spread = float(part["accuracy"].std(ddof=1)) if len(part) > 1 else math.nan
    return cell(part["accuracy"].mean(), spread, part["low"].min(), part["high"].max())


def _projection(bench: Bench) -> Sheet:
    base = multilingual(bench, "multilingual 1", "cls", ("contrasim",))
    names = list(base.names)
    chosen = [names.index(name) for name in ("en", "ar") if name in names] or [0, 1]
    training = base.training("contrasim")
    spec = ProjectionSpec(
        sources=tuple(base.test[place] for place in chosen),
        training=training,
        pair=training.pairs.index((min(chosen), max(chosen))),
        items=5,
        method="umap",
        neighbours=presets_paired.NEIGHBOURS_OF_FEW,
    )
    made = run(spec, store=bench.store, execution=bench.execution, progress=bench.progress)
    words = words_of_projection(made)
    wide = pd.DataFrame(made.numbers).map(lambda value: "–" if value is None else f"{value:.2f}")
    return Sheet(
        wide=wide,
        long=made.to_pandas(),
        caption=f"{words.title}. {words.caption}",
        picture=before_and_after(made),
    )


def _retrieve(bench: Bench, spec: RetrievalSpec) -> RetrievalResult:
    for source in spec.test:
        resolve_model(source.model)
    result: RetrievalResult = run(spec, store=bench.store, execution=bench.execution, progress=bench.progress)
    return result


ITEMS: tuple[Item, ...] = (
    Item(
        name="table-1",
        title="Layer prediction, language and vision, two data sets each",
        make=_layer_table(LAYERED, vision=True),
    ),
    Item(
        name="table-2",
        title="Multilingual benchmark, [CLS]",
        make=_layerwise("multilingual 1", "cls", MAIN),
    ),
    Item(
        name="table-3",
        title="Multilingual benchmark, mean pooling",
        make=_layerwise("multilingual 1", "mean", MAIN),
    ),
    Item(
        name="table-4",
        title="Multilingual benchmark, second model",
        make=_layerwise("multilingual 2", "cls", MAIN),
    ),
    Item(name="table-5", title="Image-caption benchmark, CLIP", make=_clip_table),
    Item(
        name="table-6",
        title="Layer prediction, further measures",
        make=_layer_table(LAYERED_EXTRA, vision=False),
    ),
    Item(
        name="table-7",
        title="Multilingual benchmark, further measures",
        make=_layerwise("multilingual 1", "cls", EXTRA),
    ),
    Item(
        name="table-8",
        title="Image-caption benchmark, further measures",
        make=_pairs_table(EXTRA, picture=False),
    ),
    Item(
        name="figure-4",
        title="Image-caption benchmark, four pairs of models",
        make=_pairs_table(MAIN, picture=True),
    ),
    Item(name="figure-5", title="Representations before and after ContraSim", make=_projection),
)


def item(name: str) -> Item:
    """Return a table or figure by name.

    Raises:
        SpecError: if there is none of that name.
    """
    for known in ITEMS:
        if known.name == name:
            return known
    raise SpecError(f"Unknown table or figure {name!r}. It can be: {', '.join(known.name for known in ITEMS)}.")


def make(names: Sequence[str], bench: Bench, folder: Path) -> dict[str, Sheet]:
    """Run the items and write each as CSV, Markdown and HTML as soon as it is made.

    Args:
        names: tables and figures; all if empty.
        bench: the setting.
        folder: where to write the files.

    Raises:
        SpecError: if a name is unknown, or an item cannot be made at this scale.
    """
    chosen = [item(name) for name in names] or list(ITEMS)
    sheets: dict[str, Sheet] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, wanted in enumerate(chosen):
        step = share(bench.progress, number, len(chosen), f"{wanted.name}: ")
        sheet = wanted.make(replace(bench, progress=step))
        if bench.scale == "hub":
            sheet = beside_paper(wanted.name, sheet)
        write(wanted.name, wanted.title, sheet, folder)
        sheets[wanted.name] = sheet
    return sheets
