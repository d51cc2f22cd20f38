"""Where runs are executed: in this process, or on Dask workers in separate processes.

The job table and the artifacts on disk are the source of truth; an engine only moves work to where it is done.
"""
