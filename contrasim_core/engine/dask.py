"""The engine on Dask: this process has a client; scheduler and workers are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.engine import cluster
from contrasim_core.engine.base import WorkerInfo
from contrasim_core.engine.execute import Outcome, finish, names_of_nodes, run_node, run_part
from contrasim_core.engine.jobs import Job, JobTable
from contrasim_core.engine.nodes import Nodes
from contrasim_core.errors import ContraSimError, EngineError
from contrasim_core.runs.keep import Node, plan
from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec
from contrasim_core.store import Store

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 5
CHECK_EVERY = 2.0  # seconds between checks of the scheduler


class DaskEngine:
    """Submits jobs to the cluster of a store; without a cluster, jobs stay queued in the table."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.table = JobTable(self.root)
        self._nodes = Nodes(self.root)
        self._client: Client | None = None
        self._address = ""
        self._checked = 0.0

    def connect(self) -> Client:
        """Return a connected client.

        Raises:
            EngineError: if no cluster is running.
        """
        found = cluster.find(self.root)
        if found is None:
            raise EngineError(
                "No worker is connected. Results stay readable and new runs wait. Start one with "
                "`python -m contrasim_core up`."
            )
        address = f"{found.scheduler_file} {found.scheduler}"
        if self._client is None or self._address != address or self._client.status != "running":
            self.close()
            self._client = self._open(found)
            self._address = address
        return self._client

    def _open(self, found: cluster.Cluster) -> Client:
        from distributed import Client, Security

        tls = cluster.Tls(**found.tls)
        security = (
            Security(tls_ca_file=tls.ca, tls_client_cert=tls.cert, tls_client_key=tls.key, require_encryption=True)
            if tls.complete
            else None
        )
        try:
            return Client(
                scheduler_file=found.scheduler_file, timeout=CONNECT_SECONDS, set_as_default=False, security=security
            )
        except (OSError, TimeoutError) as error:
            raise EngineError(f"The scheduler of {self.root} does not answer: {error}. Run down, then up.") from error

    def close(self) -> None:
        """Close the client; running jobs continue."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def submit(self, spec: Spec, title: str) -> Job:
        """Record the request and send it to the scheduler, if one is running."""
        job, new = self.table.submit(spec, title)
        if new:
            try:
                client = self.connect()
                self._release(client)
                self._send(client, job.id)
            except EngineError:
                return job  # it waits in the table until `recover` sends it to a cluster
        return job

    def _send(self, client: Client, job_id: str) -> None:
        """Submit a task for each missing node, and one that records how the job ended.

        Tasks are named by the content of their specs, so that two jobs share the nodes that both need. Publishing
        keeps all of them alive after this client is gone.
        """
        spec, store = self.table.spec(job_id), Store(self.root)
        try:
            missing = plan(spec, store, verify=True).missing
        except ContraSimError as error:
            self.table.finish(job_id, "failed", str(error))
            return
        self.table.set_nodes(job_id, names_of_nodes(missing))
        workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        made: dict[Spec, Any] = {}
        for node in missing:
            made[node.spec] = self._submit(client, node, made, workers)
        last = made.get(spec, Outcome(spec=spec.to_json()))
        name = f"job-{job_id}"
        client.publish_dataset(
            client.submit(finish, str(self.root), job_id, last, key=name, pure=False, retries=2),
            name=name,
            override=True,
        )

    def _submit(self, client: Client, node: Node, made: Mapping[Spec, Any], workers: int) -> Any:
        """Submit the task of a node; if it can be split, after the tasks of its parts."""
        text, attempt = node.spec.to_json(), self._nodes.attempt(node.name)
        key = f"{node.name}-{attempt}" if attempt else node.name
        parts = kind_of(node.spec).parts(node.spec, workers)
        needs = [made[need] for need in node.needs if need in made]
        how = {"pure": False, "resources": {"GPU": 1}, "retries": 2}
        if parts > 1:
            needs += [
                client.submit(run_part, str(self.root), text, part, parts, key=f"{key}-part-{part}-of-{parts}", **how)
                for part in range(parts)
            ]
        return client.submit(run_node, str(self.root), text, needs, key=key, **how)

    def recover(self) -> list[str]:
        """Send jobs that are queued or running in the table but unknown to the scheduler; mark what Dask gave up on.

        Returns:
            Ids of the jobs that were sent again.

        Raises:
            EngineError: if no cluster is running.
        """
        client = self.connect()
        self._checked = time.monotonic()
        known = set(client.list_datasets())
        sent = []
        for job in self.table.jobs():
            name = f"job-{job.id}"
            if job.active and name not in known:
                self._send(client, job.id)
                sent.append(job.id)
            elif job.active:
                self._check_lost(client, job, name)
            elif name in known:
                client.unpublish_dataset(name)
        return sent

    def _release(self, client: Client) -> None:
        """Unpublish the tasks of ended jobs, so that old ones are not mistaken for new."""
        active = {f"job-{job.id}" for job in self.table.jobs() if job.active}
        for name in client.list_datasets():
            if name not in active:
                client.unpublish_dataset(name)

    def _check_lost(self, client: Client, job: Job, name: str) -> None:
        future: Any = client.get_dataset(name)
        if future.status in ("error", "lost"):
            reason = str(future.exception(timeout=5)) if future.status == "error" else "it was lost"
            self.table.finish(job.id, "failed", f"The worker died on every attempt: {reason}")
        elif future.status == "finished" and self.table.job(job.id).active:
            client.unpublish_dataset(name)  # the cancellation of another job removed a node that this one still needs
            self._send(client, job.id)

    def look(self) -> None:
        """Call `recover` at most every two seconds and ignore errors, for pages that poll."""
        if time.monotonic() - self._checked > CHECK_EVERY:
            self._checked = time.monotonic()
            try:
                self.recover()
            except EngineError:
                return

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop at its next batch or epoch; a waiting job is cancelled at once."""
        job = self.table.cancel(job_id)
        if job.state == "cancelled" and self._client is not None:
            name = f"job-{job_id}"
            if name in self._client.list_datasets():
                future: Any = self._client.get_dataset(name)
                future.cancel()
                self._client.unpublish_dataset(name)
        return job

    def workers(self) -> list[WorkerInfo]:
        """Return the connected workers; empty without a cluster."""
        try:
            found = self.connect().scheduler_info(n_workers=-1)["workers"]
        except EngineError:
            return []
        gpus = cluster.gpu_count()
        return [
            WorkerInfo(str(address), "GPU" if gpus else "CPU", int(info.get("metrics", {}).get("executing", 0)))
            for address, info in found.items()
        ]
