"""Runs: what waits, what goes on, what ended and how."""

import streamlit as st

from pages._ui import guard, joblist, router, running

router.ensure()
st.title("Jobs")
with guard.guarded():
    running.no_worker()
    joblist.workers()
    joblist.table()
    job = joblist.chosen()
    if job is not None:
        joblist.detail(job)
