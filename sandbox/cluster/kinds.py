"""The kinds of object that this API server serves, by group, version and the plural that stands in the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as JSON. What comes out of the store is never changed in place."""


@dataclass(frozen=True)
class Kind:
    """One kind. `group` is empty for the core group; `replicated` has /scale; `status` has /status."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True
    status: bool = False
    replicated: bool = False
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As it stands in an object: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        """The path that the group's objects live below."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def title(self) -> str:
        """As messages name it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False, status=True, short=("ns",))
NODES = Kind("", "v1", "nodes", "Node", namespaced=False, status=True, short=("no",))
PODS = Kind("", "v1", "pods", "Pod", status=True, short=("po",))
SERVICES = Kind("", "v1", "services", "Service", status=True, short=("svc",))
EVENTS = Kind("", "v1", "events", "Event", short=("ev",))
SECRETS = Kind("", "v1", "secrets", "Secret")
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", short=("cm",))
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", status=True, replicated=True, short=("deploy",))
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet", status=True, replicated=True, short=("rs",))
STATEFUL_SETS = Kind("apps", "v1", "statefulsets", "StatefulSet", status=True, replicated=True, short=("sts",))
DAEMON_SETS = Kind("apps", "v1", "daemonsets", "DaemonSet", status=True, short=("ds",))
AUTOSCALERS = Kind(
    "autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", status=True, short=("hpa",)
)
BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", status=True, short=("pdb",))
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
POLICIES = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short=("netpol",))
SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

KINDS: tuple[Kind, ...] = (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    EVENTS,
    SECRETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    AUTOSCALERS,
    BUDGETS,
    LEASES,
    POLICIES,
    SLICES,
)
