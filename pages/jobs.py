"""Runs: what waits, what goes on, what ended and how."""

import streamlit as st

from pages._ui import guard, jobs, router, running

router.ensure()
st.title("Jobs")
with guard.guarded():
    running.no_worker()
    jobs.workers()
    jobs.table()
    job = jobs.chosen()
    if job is not None:
        jobs.detail(job)
