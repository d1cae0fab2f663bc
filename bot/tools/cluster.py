"""A Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True)
class Pod:
    """`state` as kubectl shows it (Running, CrashLoopBackOff, Terminating, …); `why` is the reason in words, if any.

    `ends_at`: by when a pod that was deleted was to be gone; None = nobody deleted it. `owner`: the controller that keeps
    it; empty = none, so that nothing makes it anew. `mirror`: its node runs it from a file, and the cluster only shows it.
    """

    namespace: str
    name: str
    uid: str
    node: str
    labels: Mapping[str, str]
    ready: bool
    state: str
    why: str
    restarts: int
    started_at: datetime | None
    phase: str
    created_at: datetime | None
    ends_at: datetime | None
    owner_kind: str
    owner: str
    owner_uid: str
    finalizers: Sequence[str]
    mirror: bool


@dataclass(frozen=True)
class Service:
    """A service and how many ready addresses stand behind it."""

    name: str
    type: str
    ready: int


WorkloadKind = Literal["deployment", "statefulset"]


@dataclass(frozen=True)
class Workload:
    """A deployment or stateful set as it is now. `env` holds plain values only; `from_secret` is variable → (secret, key)."""

    kind: WorkloadKind
    namespace: str
    name: str
    uid: str
    selector: str
    replicas: int
    ready: int
    paused: bool
    restarted_at: str
    env: Mapping[str, str]
    from_secret: Mapping[str, tuple[str, str]]
    autoscaler: str  # the HorizontalPodAutoscaler that owns its replicas; empty = none
    annotations: Mapping[str, str]
    generation: int


@dataclass(frozen=True)
class Rollout:
    """How far a rollout is. `done`: every pod is new and available and no old one is left. `stuck`: it will not get there by
    itself, and why (a progress deadline, an image that cannot be pulled). `detail` is one line for the progress card."""

    done: bool
    stuck: str
    ready: int
    wanted: int
    detail: str


@dataclass(frozen=True)
class Difference:
    """What becomes another when a deployment goes back to a revision. Values of variables are never in it. A `mark` is an
    annotation, such as that of a restart: the pods behave as before."""

    kind: Literal["image", "variable", "mark", "other"]
    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Revision:
    """A pod template that a deployment has had, as the replica set `name` keeps it. `current`: it has that one now."""

    number: int
    name: str
    uid: str
    made_at: datetime | None
    current: bool
    differences: Sequence[Difference]


@dataclass(frozen=True)
class LogLine:
    """One line that a container wrote, as `kubectl logs` prints it; a very long one is cut. It may hold secrets."""

    pod: str
    container: str
    text: str


class Cluster(Protocol):
    """One Kubernetes cluster. Raises Unavailable when it cannot be reached, Refused when it says no, NotFound for what is
    not there."""

    def known(self) -> bool:
        """Whether a cluster is configured at all: without one there is nothing to look at."""

    async def pods(self, namespace: str, selector: str = "") -> Sequence[Pod]:
        """By namespace and name; an empty namespace means all of them."""

    async def pod(self, namespace: str, name: str) -> Pod: ...

    async def last_warning(self, pod: Pod) -> str:
        """The newest warning among the cluster's events about it; empty = none."""

    async def wanted_by(self, owner_kind: str, namespace: str, owner: str, uid: str) -> int | None:
        """How many pods a `ReplicaSet` or `StatefulSet` is to keep; None when it is neither, or gone."""

    async def services(self, namespace: str) -> Sequence[Service]: ...

    async def workload(self, kind: WorkloadKind, namespace: str, name: str) -> Workload: ...

    async def deployments(self, namespace: str) -> Sequence[Workload]: ...

    async def set_env(self, deployment: Workload, variable: str, value: str) -> int:
        """Set one variable of the first container that has it (else the first container); the new generation."""

    async def unset_env(self, deployment: Workload, variable: str) -> int:
        """Take one variable away from the first container that has it; the generation. Gone is done already."""

    async def secret_value(self, namespace: str, name: str, key: str) -> str | None: ...

    async def set_secret(self, namespace: str, name: str, key: str, value: str) -> None: ...

    async def restart(self, kind: WorkloadKind, namespace: str, name: str, mark: str) -> int:
        """Roll all pods over. `mark` is unique to the run: the same mark twice is no second restart. The generation.
        Refused for a paused deployment or an OnDelete stateful set, which would take it and do nothing."""

    async def rollout(self, kind: WorkloadKind, namespace: str, name: str, generation: int) -> Rollout:
        """One look. Refused when somebody else changed the workload meanwhile (another generation)."""

    async def scale(self, deployment: Workload, replicas: int, remember: str) -> int:
        """Set the replicas, and keep what they were in the annotation `remember` (zero never replaces what is there).
        Refused when somebody changed the deployment since it was read. The new generation."""

    async def revisions(self, deployment: Workload) -> Sequence[Revision]:
        """What it can go back to, newest first, and what it has now, if its controller has taken that up."""

    async def roll_back(self, deployment: Workload, replica_set: str) -> int:
        """Give it the pod template that the replica set of that uid keeps; the new generation. It has that already: nothing
        happens. Refused while it is paused, and when that replica set is gone."""

    async def replace_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete exactly that pod, so that its controller makes a new one. Gone, or replaced, is done already."""

    async def force_delete(self, namespace: str, name: str, uid: str) -> None:
        """Take exactly that pod out of the cluster at once, without waiting for its end. Finalizers hold it still. Gone, or
        replaced, is done already."""

    async def logs(
        self, namespace: str, selector: str, *, since: timedelta, contains: Sequence[str] = (), most: int = 200
    ) -> Sequence[LogLine]:
        """The newest `most` lines of all containers of the pods, oldest first; only those with one of these words, if any.

        What has not started yet has none. A container whose log cannot be read has one line that says so, in brackets;
        raises what went wrong when none of them can be read.
        """
