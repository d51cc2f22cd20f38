"""The tables and figures of arXiv:2303.16992, run anew: on the bundled models, or on the paper's own from the hub.

Each item is a list of specs, so that finished parts are never computed twice and an interrupted run goes on. What is
written has the paper's layout; on the hub's scale the paper's own numbers stand beside ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from contrasim_core import figures, insights, presets, presets_paired, runs
from contrasim_core.errors import SpecError
from contrasim_core.extraction import Execution
from contrasim_core.glossary import label_of
from contrasim_core.models import expand_models, resolve_model
from contrasim_core.progress import Progress, share, silent
from contrasim_core.results import BenchmarkResult
from contrasim_core.retrieval_results import RetrievalLine, RetrievalResult
from contrasim_core.specs import (
    BenchmarkSpec,
    EncoderSpec,
    Negatives,
    Pooling,
    ProjectionSpec,
    RetrievalSpec,
)
from contrasim_core.store import Store, write_atomic

Scale = Literal["bundled", "hub"]
NUMBERS = Path(__file__).with_name("paper_numbers.json")
STYLE = (
    "body{font-family:system-ui;margin:2rem}table{border-collapse:collapse}"
    "td,th{padding:.3rem .7rem;border-bottom:1px solid #ccc;text-align:right}"
)
MAIN = ("cka.linear", "deepcka", "deepdot", "contrasim")
EXTRA = ("dot", "norm", "contrasim.norm")
LAYERED = ("pwcca", "cka.linear", "deepdot", "deepcka", "contrasim")
LAYERED_EXTRA = ("svcca", "dot", "norm", "contrasim.norm")
LEARNED = ("deepdot", "deepcka", "contrasim", "contrasim.norm")
SEEDS = {"bundled": {"layers": 1, "pairs": 1, "captions": 5}, "hub": {"layers": 5, "pairs": 1, "captions": 5}}
TEXT_LAYERS = EncoderSpec(epochs=9, batch_rows=24)
TEXT_ROWS = 1000
"""Training options of the bundled BERTs here: many small steps, because an encoder needs some hundred to begin."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or a figure.

    Attributes:
        name: `table-2`, `figure-5`.
        title: what it is about.
        make: runs what it needs and gives its sheet.
    """

    name: str
    title: str
    make: Callable[[Bench], Sheet]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """A table in the paper's layout, and the long form behind it.

    Attributes:
        wide: what people read; cells are text.
        long: one row per number, with intervals, trials and chance.
        caption: models, data, chance.
        picture: a plotly figure, for the figures; else None.
        says: sentences that the numbers bear.
    """

    wide: pd.DataFrame
    long: pd.DataFrame
    caption: str
    picture: Any = None
    says: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how an item is run.

    Attributes:
        scale: bundled models and data, or the paper's from the hub.
        store: where artifacts are kept.
        execution: device.
        progress: told as it goes.
        seeds: encoder seeds instead of the scale's own.
        epochs: passes instead of the scale's own, for trying out.
        rows: training and test samples instead of the scale's own, for trying out.
        sources: other models and data, by name of their role, in place of the scale's own.
    """

    scale: Scale
    store: Store
    execution: Execution = Execution()  # noqa: RUF009 - frozen
    progress: Progress = silent
    seeds: int | None = None
    epochs: int | None = None
    rows: tuple[int, int] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, role: str) -> str | None:
        """The model or data set that plays a role."""
        given = self.sources.get(role)
        return given if given is not None else ROLES[self.scale].get(role)

    def encoder(self, usual: EncoderSpec) -> EncoderSpec:
        """Training options."""
        return usual if self.epochs is None else usual.replace(epochs=self.epochs)

    def seeds_for(self, kind: str) -> tuple[int, ...]:
        """Encoder seeds."""
        return tuple(range(self.seeds or SEEDS[self.scale][kind]))


ROLES: dict[Scale, dict[str, str]] = {
    "bundled": {
        "language models": "docs-bert",
        "text 1": "python-docs",
        "text 2": "library-docs",
        "vision models": "digits-vit",
        "images 1": "digits",
        "images 2": "photo-patches",
        "multilingual 1": "phrases-bert-0",
        "multilingual 2": "phrases-roberta-0",
        "vit": "scenes-vit-0",
        "convnext": "scenes-convnext-0",
        "bert": "scenes-bert-0",
        "gpt2": "scenes-gpt2-0",
        "clip": "scenes-clip-0",
    },
    "hub": {
        "language models": ",".join(f"google/multiberts-seed_{seed}" for seed in range(10)),
        "text 1": "ptb-text-only/ptb_text_only",
        "text 2": "Salesforce/wikitext",
        "multilingual 1": "bert-base-multilingual-cased",
        "multilingual 2": "xlm-roberta-base",
        "parallel": "facebook/xnli",
        "parallel config": "all_languages",
        "vit": "google/vit-base-patch16-224",
        "convnext": "facebook/convnext-tiny-224",
        "bert": "bert-base-cased",
        "gpt2": "gpt2",
        "clip": "openai/clip-vit-base-patch32",
    },
}
"""Who plays which part. The paper's fine-tuned ViTs were not published, so the hub has no `vision models`; and its
Conceptual Captions are a list of addresses, not of images, so `captioned` must be named."""


# What each item needs.


def _layer_specs(bench: Bench, models: str, first: str, second: str, measures: Sequence[str]) -> list[BenchmarkSpec]:
    """Trained on the first data set and judged on both, and the other way round; disjoint pairs, as in the paper."""
    text = bench.source("language models") == models
    bundled = presets.family_for_layers(expand_models(models)) is not None
    usual = TEXT_LAYERS if text else presets.quick_for(models)
    encoder = bench.encoder(usual if bundled else presets.PAPER)
    pooling: Pooling = "word" if text else "cls"
    rows = bench.rows[0] if bench.rows else TEXT_ROWS if text and bundled else None if bundled else 10_000
    return [
        presets.benchmark_spec(
            models,
            measures=measures,
            data=data,
            transfer=other,
            protocols=("seen", "transfer"),
            pairs="disjoint",
            pooling=pooling,
            rows=rows,
            encoder=encoder,
            seeds=bench.seeds_for("layers"),
        )
        for data, other in ((first, second), (second, first))
    ]


def _multilingual(bench: Bench, role: str, pooling: Pooling, measures: Sequence[str]) -> RetrievalSpec:
    data = bench.source("parallel")
    usual = presets_paired.QUICK_MULTILINGUAL if data is None else presets_paired.PAPER_PAIRED
    return presets_paired.multilingual_spec(
        bench.source(role) or "",
        measures=measures,
        data=data,
        config=bench.source("parallel config"),
        pooling=pooling,
        encoder=bench.encoder(usual),
        seeds=bench.seeds_for("pairs"),
        rows=bench.rows,
    )


def _captions(bench: Bench, measures: Sequence[str], *, clip: bool = False) -> RetrievalSpec:
    data = bench.source("captioned")
    if data is None and bench.scale == "hub":
        raise SpecError(
            "On the hub's scale, name the images with captions (--captioned): a folder, a zip, or a hub data set. The "
            "paper's Conceptual Captions are published as addresses, many of which are gone."
        )
    usual = presets_paired.QUICK_CAPTION if data is None else presets_paired.PAPER_PAIRED
    options: dict[str, Any] = {
        "measures": measures,
        "data": data,
        "encoder": bench.encoder(usual),
        "seeds": bench.seeds_for("captions"),
        "rows": bench.rows,
    }
    if clip:
        return presets_paired.clip_spec(bench.source("clip") or "", **options)
    vision, text = ([bench.source(role) or "" for role in roles] for roles in (("vit", "convnext"), ("bert", "gpt2")))
    return presets_paired.caption_spec(vision, text, **options)


# How each is laid out.


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
            specs = _layer_specs(bench, names[0] or "", names[1] or "", names[2] or "", measures)
            step = share(bench.progress, number, len(kinds))
            results = [
                runs.benchmark(spec, store=bench.store, execution=bench.execution, progress=share(step, place, 2))
                for place, spec in enumerate(specs)
            ]
            columns += [(names[1] or "", results[0], results[1]), (names[2] or "", results[1], results[0])]
        if not columns:
            raise SpecError(f"There are no {' and no '.join(missing)} at this scale.")
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
                wide.setdefault(name, {})[data] = _cell(row["accuracy"], row["std"], row["low"], row["high"])
                long.append({"data": data, **row})
    order = [label_of(name) for name in measures]
    names = sorted(wide, key=lambda name: (order.index(name.partition(", trained")[0]), name))
    frame = pd.DataFrame([wide[name] for name in names], index=names)
    first_result = columns[0][1]
    chance = 1 / len(first_result.layers)
    note = f" Left out: {', '.join(missing)}, which are not published." if missing else ""
    caption = (
        f"Layer prediction, accuracy (%) over {len(first_result.pairs['seen'])} disjoint pairs of models, "
        f"{int(first_result.records[0].trials)} trials a column; ± std over seeds, brackets: 95 % interval. "
        f"Chance {100 * chance:.1f} %. Pairs of columns are data sets for the same models; ContraSim is trained on "
        f"the first or the second of them.{note}"
    )
    says = tuple(dict.fromkeys(item.text for _, own, _ in columns for item in insights.of_layer_prediction(own)))
    return Sheet(wide=frame, long=pd.DataFrame(long), caption=caption, says=says)


def _layerwise(role: str, pooling: Pooling, measures: Sequence[str]) -> Callable[[Bench], Sheet]:
    """Layers down, measures across, random and FAISS."""

    def make(bench: Bench) -> Sheet:
        result = _retrieve(bench, _multilingual(bench, role, pooling, measures))
        lines = {(line.negatives, line.measure, line.layer): line for line in result.lines if line.pair_group == "all"}
        columns: list[tuple[Negatives, str]] = [(kind, name) for kind in ("random", "faiss") for name in measures]
        frame = pd.DataFrame(
            [[_line(lines[kind, name, layer]) for kind, name in columns] for layer in result.layers],
            index=pd.Index(result.layers, name="layer"),
            columns=[f"{kind}: {label_of(name)}" for kind, name in columns],
        )
        return _sheet(result, frame)

    return make


def _clip_table(bench: Bench) -> Sheet:
    measures = ("cka.linear", "dot", "deepcka", "deepdot", "contrasim")
    result = _retrieve(bench, _captions(bench, measures, clip=True))
    lines = {(line.measure, line.negatives): line for line in result.lines if line.pair_group == "all"}
    frame = pd.DataFrame(
        [[_line(lines[name, kind]) for kind in ("random", "faiss")] for name in measures],
        index=[label_of(name) for name in measures],
        columns=["random", "faiss"],
    )
    return _sheet(result, frame)


def _pairs_table(measures: Sequence[str], *, picture: bool) -> Callable[[Bench], Sheet]:
    """Pairs of models across, measures down, random and FAISS."""

    def make(bench: Bench) -> Sheet:
        result = _retrieve(bench, _captions(bench, measures))
        records = result.to_pandas()
        rows, names = [], []
        for kind in ("random", "faiss"):
            for measure in measures:
                part = records[(records["measure"] == measure) & (records["negatives"] == kind)]
                names.append(f"{kind}: {label_of(measure)}")
                rows.append({pair: _of_pair(part[part["pair"] == pair]) for pair in dict.fromkeys(records["pair"])})
        drawn = figures.caption_bars(records) if picture else None
        return _sheet(result, pd.DataFrame(rows, index=names), drawn)

    return make


def _of_pair(part: pd.DataFrame) -> str:
    spread = float(part["accuracy"].std(ddof=1)) if len(part) > 1 else math.nan
    return _cell(part["accuracy"].mean(), spread, part["low"].min(), part["high"].max())


def _projection(bench: Bench) -> Sheet:
    base = _multilingual(bench, "multilingual 1", "cls", ("contrasim",))
    names = list(base.names)
    chosen = [names.index(name) for name in ("en", "ar") if name in names] or [0, 1]
    training = base.training("contrasim")
    spec = ProjectionSpec(
        sources=tuple(base.test[place] for place in chosen),
        training=training,
        pair=training.pairs.index((min(chosen), max(chosen))),
        items=5,
        method="umap",
        neighbours=4,
    )
    made = runs.projection(spec, store=bench.store, execution=bench.execution, progress=bench.progress)
    words = figures.words_of_projection(made)
    wide = pd.DataFrame(made.numbers).map(lambda value: "–" if value is None else f"{value:.2f}")
    return Sheet(
        wide=wide,
        long=made.to_pandas(),
        caption=f"{words.title}. {words.caption}",
        picture=figures.before_and_after(made),
    )


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
    """A table or figure by name.

    Raises:
        SpecError: if the paper has none of that name.
    """
    for known in ITEMS:
        if known.name == name:
            return known
    raise SpecError(f"The paper has no {name!r} here. There are: {', '.join(known.name for known in ITEMS)}.")


def make(names: Sequence[str], bench: Bench, folder: Path) -> dict[str, Sheet]:
    """Run the items and write each as CSV, Markdown and HTML as soon as it is made.

    Args:
        names: tables and figures; all if empty.
        bench: where and how.
        folder: where the files go.

    Raises:
        SpecError: if a name is none, or an item cannot be made at this scale.
    """
    chosen = [item(name) for name in names] or list(ITEMS)
    sheets: dict[str, Sheet] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, wanted in enumerate(chosen):
        step = share(bench.progress, number, len(chosen), f"{wanted.name}: ")
        sheet = wanted.make(replace(bench, progress=step))
        if bench.scale == "hub":
            sheet = _beside_paper(wanted.name, sheet)
        write(wanted, sheet, folder)
        sheets[wanted.name] = sheet
    return sheets


def write(wanted: Item, sheet: Sheet, folder: Path) -> None:
    """`NAME.csv` (one row per number), `NAME.md` and `NAME.html` (the paper's layout)."""
    title = f"{wanted.name.replace('-', ' ').capitalize()}. {wanted.title}"
    sheet.long.to_csv(folder / f"{wanted.name}.csv", index=False)
    says = "".join(f"- {text}\n" for text in sheet.says)
    write_atomic(folder / f"{wanted.name}.md", f"# {title}\n\n{_markdown(sheet.wide)}\n{sheet.caption}\n\n{says}")
    picture = "" if sheet.picture is None else sheet.picture.to_html(full_html=False, include_plotlyjs=True)
    listed = "".join(f"<li>{text}</li>" for text in sheet.says)
    write_atomic(
        folder / f"{wanted.name}.html",
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{picture}{sheet.wide.to_html(border=0)}<p>{sheet.caption}</p><ul>{listed}</ul>\n",
    )


def _markdown(frame: pd.DataFrame) -> str:
    heading = [str(frame.index.name or ""), *map(str, frame.columns)]
    lines = [heading, ["---"] * len(heading)]
    lines += [[str(name), *map(str, row)] for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def paper_numbers() -> dict[str, Any]:
    """The paper's own numbers: by item `columns`, and `rows` of [accuracy, std] in percent."""
    numbers: dict[str, Any] = json.loads(NUMBERS.read_text(encoding="utf-8"))
    return numbers


def _beside_paper(name: str, sheet: Sheet) -> Sheet:
    """The sheet with the paper's numbers under ours, where the paper has a table."""
    known = paper_numbers().get(name)
    if known is None:
        return sheet
    rows = [[" ± ".join(f"{part:g}" for part in cell) for cell in row] for row in known["rows"].values()]
    theirs = pd.DataFrame(rows, index=[f"paper: {row}" for row in known["rows"]], columns=known["columns"])
    if len(theirs.columns) == len(sheet.wide.columns):
        theirs.columns = sheet.wide.columns
    return Sheet(
        wide=pd.concat([sheet.wide, theirs]).fillna("–"),
        long=sheet.long,
        caption=f"{sheet.caption} Rows that begin with `paper` are the paper's own numbers.",
        picture=sheet.picture,
        says=sheet.says,
    )


def _retrieve(bench: Bench, spec: RetrievalSpec) -> RetrievalResult:
    for source in spec.test:
        resolve_model(source.model)
    return runs.retrieval(spec, store=bench.store, execution=bench.execution, progress=bench.progress)


def _sheet(result: RetrievalResult, frame: pd.DataFrame, picture: Any = None) -> Sheet:
    recipe = "; ".join(f"{name} {value}" for name, value in result.recipe.items() if value)
    chance = 100 / (1 + result.random.shape[1])
    caption = (
        f"{recipe}. Accuracy (%), mean ± std over pairs or seeds, brackets: 95 % interval over {len(result.batches)} "
        f"batches. Chance {chance:.1f} %. Ties are misses. Learned measures: over pairs that the encoder was not "
        "trained on, where there are any."
    )
    says = tuple(item.text for item in insights.of_retrieval(result))
    return Sheet(wide=frame, long=result.summary(), caption=caption, picture=picture, says=says)


def _line(line: RetrievalLine) -> str:
    return "–" if line.reason else _cell(line.accuracy, line.std, line.low, line.high)


def _cell(accuracy: float, std: float, low: float, high: float) -> str:
    if math.isnan(accuracy):
        return "–"
    spread = "" if math.isnan(std) else f" ± {100 * std:.1f}"
    return f"{100 * accuracy:.1f}{spread} [{100 * low:.0f}, {100 * high:.0f}]"
