"""The table of runs and the detail of one."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from contrasim_core.engine import cluster
from contrasim_core.engine.jobs import Job
from contrasim_core.runs.kinds import KINDS
from pages._ui import cached, links, running, url

WORDS = {
    "queued": "○ waiting",
    "running": "▶ running",
    "cancelling": "◼ stopping",
    "cancelled": "◼ cancelled",
    "done": "✓ done",
    "failed": "✗ failed",
}
SHOWN = 100
PRODUCTS = {kind.name: kind.product for kind in KINDS}
POLL = 1.0


def workers() -> None:
    """Who is there to work, and a way to end it."""
    found = cached.engine().workers()
    if not found:
        return
    names = ", ".join(f"{item.device} at {item.name} ({'busy' if item.busy else 'idle'})" for item in found)
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.caption(f"Workers: {names}")
    if right.button(
        "Stop worker", icon=":material/power_settings_new:", help="Runs in progress resume when it is started again."
    ):
        cached.engine().close()
        cluster.down(cached.store().root)
        st.rerun()


def table() -> None:
    """All runs; polled as long as one is active."""
    active = any(job.active for job in cached.engine().table.jobs(SHOWN))
    st.fragment(_table, run_every=POLL if active else None)()


def _table() -> None:
    cached.engine().look()
    jobs = cached.engine().table.jobs(SHOWN)
    if not jobs:
        st.info("No runs yet. What you see on the other pages is the bundled example.", icon=":material/info:")
        return
    frame = pd.DataFrame([_row(job) for job in jobs])
    st.dataframe(
        frame,
        hide_index=True,
        key="jobs-table",
        alt=f"{len(jobs)} runs",
        column_config={"done": st.column_config.ProgressColumn("done", min_value=0.0, max_value=1.0, format="percent")},
    )


def _row(job: Job) -> dict[str, object]:
    return {
        "state": WORDS[job.state],
        "what": job.title,
        "kind": PRODUCTS.get(job.kind, job.kind),
        "done": job.share,
        "message": job.error or job.message,
        "requested": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created)),
        "took": f"{job.ended - job.created:.0f} s" if job.ended else "",
        "id": job.id,
    }


def chosen() -> Job | None:
    """The run whose detail is open."""
    jobs = {job.id: job for job in cached.engine().table.jobs(SHOWN)}
    if not jobs:
        return None
    key = url.start("job", None, lambda raw: raw if raw in jobs else None)
    picked = st.selectbox(
        "Open a run",
        list(jobs),
        key=key,
        index=None,
        format_func=lambda name: f"{jobs[name].title} ({WORDS[jobs[name].state]}, {name})",
        placeholder="Choose one",
    )
    url.keep("job", picked, None)
    return jobs.get(picked) if picked else None


def detail(job: Job) -> None:
    """One run: how it stands, how to stop or repeat it, and where its result is."""
    engine = cached.engine()
    spec = engine.table.spec(job.id)
    if job.error:
        (st.error if job.state == "failed" else st.info)(job.error)
    left, right = st.columns(2)
    with left:
        if job.active:
            running.progress(job)
            running.nodes(engine.table.nodes(job.id))
            if st.button("Cancel", icon=":material/stop:", disabled=job.state == "cancelling"):
                engine.cancel(job.id)
                st.rerun()
        elif job.state in ("failed", "cancelled") and st.button("Run again", icon=":material/replay:"):
            engine.submit(spec, job.title)
            st.rerun()
        target = links.target(spec)
        if job.state == "done" and target is not None:
            st.page_link(target[0], label="Open the result", icon=":material/open_in_new:", query_params=target[1])
        if job.worker:
            again = f", started {job.starts} times" if job.starts > 1 else ""
            st.caption(f"Worker: {job.worker}{again}. Key of the result: {job.key}.")
    with right, st.expander("Request (spec)"):
        st.json(spec.to_json())
