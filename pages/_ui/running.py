"""A run on a page: done, going on, or to be started. The job table is asked, so every viewer sees the same."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import TrainSpec
from contrasim_core.engine import cluster
from contrasim_core.engine.jobs import Job
from contrasim_core.engine.nodes import NodeStatus
from contrasim_core.figures.curves import training_curves
from contrasim_core.models.find import depth_of
from contrasim_core.runs import title_of
from contrasim_core.runs.training.words import words_of_curves
from contrasim_core.spec import Spec
from pages._ui import cached, frame

POLL = 1.0  # seconds


def finished(spec: Spec, *, verb: str, at_once: bool = False) -> bool:
    """Whether the artifact of a spec is there; if not, the button that starts it, or its progress.

    Args:
        spec: what is wanted.
        verb: on the button.
        at_once: start it without being asked to, once: it takes a moment.
    """
    if cached.store().find(spec.kind, spec.key) is not None:
        return True
    job = cached.engine().table.latest(spec.kind, spec.key)
    if job is not None and job.active:
        _live(spec, job.id)
        return False
    if job is not None and job.state == "failed":
        st.error(job.error, icon=":material/error:")
    elif job is not None and job.state == "cancelled":
        st.info("This run was cancelled. What it had finished is kept; running it again continues from there.")
    if (at_once and job is None and cached.engine().workers()) or st.button(
        verb, type="primary", icon=":material/play_arrow:"
    ):
        cached.engine().submit(spec, title_of(spec))
        st.rerun()
    no_worker()
    return False


def no_worker() -> None:
    """Where no worker is connected: say so, and offer to start one."""
    if cached.engine().workers():
        return
    with st.container(border=True):
        st.markdown("**No worker is connected.** Saved results still open; new runs wait for a worker.")
        st.code("python -m contrasim_core up", language="bash")
        if st.button("Start a worker on this machine", icon=":material/power_settings_new:"):
            with st.spinner("Starting"):
                cluster.up(cached.store().root)
                cached.engine().recover()
            st.rerun()


@st.fragment(run_every=POLL)
def _live(spec: Spec, job_id: str) -> None:
    """Progress, read from the job's status; the page is drawn anew when the job ends."""
    engine = cached.engine()
    engine.look()
    job = engine.table.job(job_id)
    if not job.active:
        st.rerun()
    progress(job)
    nodes(engine.table.nodes(job_id))
    if st.button("Cancel", key=f"cancel-{job_id}", icon=":material/stop:", disabled=job.state == "cancelling"):
        engine.cancel(job_id)
        st.rerun(scope="fragment")
    if isinstance(spec, TrainSpec):
        curves = live_curves(spec, engine.table.facts(job_id))
        if curves:
            drawn = training_curves(curves, mode=frame.mode())
            words = words_of_curves(curves)
            st.plotly_chart(drawn, theme=None, key=f"live-{job_id}", alt=words.alt)
    if not engine.workers():
        st.warning(
            "No worker is connected, so this run is waiting. Start one on the Jobs page.", icon=":material/cloud_off:"
        )


def progress(job: Job) -> None:
    """A job's state in words, and its bar."""
    again = f" The worker was restarted {job.starts - 1} times." if job.starts > 1 else ""
    words = {"queued": "Waiting for the worker", "cancelling": "Stopping at the next batch"}.get(job.state, job.message)
    st.progress(job.share, text=f"{words or 'Starting'} ({job.share:.0%}).{again}")


STATES = {
    "waiting": "○ waiting",
    "running": "▶ running",
    "done": "✓ done",
    "failed": "✗ failed",
    "cancelled": "◼ cancelled",
}


def nodes(statuses: list[NodeStatus]) -> None:
    """The steps of a run: done, running where, waiting."""
    if len(statuses) < 2:
        return
    done = sum(item.state == "done" for item in statuses)
    with st.expander(f"{done} of {len(statuses)} steps done"):
        rows = [
            {"state": STATES[item.state], "step": item.node.title, "done": item.share, "where": item.worker}
            for item in statuses
        ]
        share = st.column_config.ProgressColumn("done", min_value=0.0, max_value=1.0, format="percent")
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Steps of the run", column_config={"done": share})


def live_curves(spec: TrainSpec, facts: list[dict[str, float]]) -> list[TrainingCurve]:
    """Curves of a training that is going on, from the numbers it has written so far."""
    epochs = {(name, fact["epoch"]): value for fact in facts for name, value in fact.items() if "epoch" in fact}
    found = []
    for seed in spec.seeds:
        loss, accuracy = (
            tuple(value for (name, _), value in sorted(epochs.items(), key=lambda item: item[0][1]) if name == wanted)
            for wanted in (f"loss {seed}", f"accuracy {seed}")
        )
        if loss:
            layers = len(spec.layers) if spec.layers else depth_of(spec.sources[0].model)
            chance = 1 / layers if layers else 0.0
            found.append(
                TrainingCurve(encoder=spec.encoder.encoder, seed=seed, loss=loss, accuracy=accuracy, chance=chance)
            )
    return found
