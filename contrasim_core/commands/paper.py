"""`bench paper`: the tables and figures of the paper, reproduced."""

from __future__ import annotations

from argparse import Namespace

from contrasim_core.commands.options import execution_of, store_of
from contrasim_core.commands.output import Output


def run(options: Namespace, output: Output) -> int:
    """Make the tables and figures that the options name, or list them."""
    from contrasim_core import paper

    if options.list:
        known = [{"name": item.name, "title": item.title} for item in paper.ITEMS]
        output.table("Tables and figures", ("name", "title"), [tuple(item.values()) for item in known], known)
        return 0
    names = [f"table-{number}" for number in options.table or ()] + [f"figure-{at}" for at in options.figure or ()]
    store = store_of(options)
    folder = options.out or store.root / f"paper-{options.scale}"
    with output.progress() as progress:
        bench = paper.Bench(
            scale=options.scale,
            store=store,
            execution=execution_of(options),
            progress=progress,
            seeds=options.seeds,
            epochs=options.epochs,
            rows=None if options.rows is None else (options.rows, options.rows),
            sources={
                role: data
                for role, data in (("parallel", options.parallel), ("captioned", options.captioned))
                if data is not None
            },
        )
        sheets = paper.make(names, bench, folder)
    for name, sheet in sheets.items():
        rows = [
            (str(index), *(str(cell).partition(" [")[0] for cell in row))  # intervals are in the files
            for index, row in zip(sheet.wide.index, sheet.wide.to_numpy().tolist(), strict=True)
        ]
        columns = (str(sheet.wide.index.name or ""), *(f"{column}>" for column in sheet.wide.columns))
        if not output.as_json:
            output.table(name, columns, rows, None)
            output.say(sheet.caption)
            for text in sheet.says:
                output.say(f"- {text}")
    if output.as_json:
        output.json({name: sheet.long.to_dict("records") for name, sheet in sheets.items()})
    output.say(f"Written to {folder}: CSV, Markdown and HTML.")
    return 0
