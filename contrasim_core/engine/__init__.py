"""Where runs are executed: in this process, or on Dask workers that are processes of their own.

The job table and the artifacts on disk are the truth; an engine only moves work to where it is done.
"""
