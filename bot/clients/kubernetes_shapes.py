"""Kubernetes objects as the bot sees them: JSON in, value of bot/tools/ out. Pure; no network, no library.

Zeros and empty lists may be absent or null in what a cluster says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.tools import Pod, Rollout, Service, Workload, WorkloadKind

Json = Mapping[str, Any]

MIRROR = "kubernetes.io/config.mirror"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
REVISION = "deployment.kubernetes.io/revision"
HASH, SET_HASH = "pod-template-hash", "controller-revision-hash"
SERVICE_NAME = "kubernetes.io/service-name"

# A container that waits for one of these waits for ever: somebody has to change something.
HOPELESS = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
CRASHES = 3
"""A container that crashed so often will crash again."""


def dig(thing: Any, *path: str) -> Any:
    """What lies at the end of the path; None where it breaks off."""
    for key in path:
        thing = thing.get(key) if isinstance(thing, Mapping) else None
    return thing


def number(thing: Any, *path: str) -> int:
    """A number, zero when it is left out."""
    return int(dig(thing, *path) or 0)


def name_of(thing: Json) -> str:
    """Its name."""
    return str(dig(thing, "metadata", "name") or "")


def uid_of(thing: Json) -> str:
    """Its identity: a name may be used again, this is not."""
    return str(dig(thing, "metadata", "uid") or "")


def generation(thing: Json) -> int:
    """How often what is asked of it was changed."""
    return number(thing, "metadata", "generation")


def labels(thing: Json) -> dict[str, str]:
    """Its labels."""
    return dict(dig(thing, "metadata", "labels") or {})


def notes_of(thing: Json) -> dict[str, str]:
    """Its annotations."""
    return dict(dig(thing, "metadata", "annotations") or {})


def is_ending(thing: Json) -> bool:
    """Whether it is on its way out."""
    return dig(thing, "metadata", "deletionTimestamp") is not None


def controller(thing: Json) -> tuple[str, str]:
    """(kind, uid) of what made it and keeps it; empty strings for nobody."""
    owner = _owner(thing)
    return str(owner.get("kind", "")), str(owner.get("uid", ""))


def _owner(thing: Json) -> Json:
    owners = dig(thing, "metadata", "ownerReferences") or []
    return next((one for one in owners if one.get("controller")), {})


def instant(thing: Json, *path: str) -> datetime | None:
    """An instant, None when it is left out."""
    text = dig(thing, *path)
    return datetime.fromisoformat(text) if text else None


def pod(thing: Json) -> Pod:
    """One pod, with the state that kubectl would show."""
    state, why = _state(thing)
    kind, uid = controller(thing)
    return Pod(
        namespace=str(dig(thing, "metadata", "namespace") or ""),
        name=name_of(thing),
        uid=uid_of(thing),
        node=dig(thing, "spec", "nodeName") or "",
        labels=labels(thing),
        ready=is_ready(thing),
        state=state,
        why=why,
        restarts=sum(number(one, "restartCount") for one in dig(thing, "status", "containerStatuses") or []),
        started_at=instant(thing, "status", "startTime"),
        phase=dig(thing, "status", "phase") or "Unknown",
        created_at=instant(thing, "metadata", "creationTimestamp"),
        ends_at=instant(thing, "metadata", "deletionTimestamp"),
        owner_kind=kind,
        owner=str(_owner(thing).get("name", "")),
        owner_uid=uid,
        finalizers=tuple(dig(thing, "metadata", "finalizers") or ()),
        mirror=MIRROR in notes_of(thing),
    )


def is_over(thing: Json) -> bool:
    """Whether a pod has ended for good."""
    return dig(thing, "status", "phase") in ("Succeeded", "Failed")


def is_ready(thing: Json) -> bool:
    """Ready, and not on its way out."""
    return not is_ending(thing) and has_condition(thing, "Ready")


def has_condition(thing: Json, kind: str) -> bool:
    """Whether that condition of it holds."""
    conditions = dig(thing, "status", "conditions") or []
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def seen_at(event: Json) -> str:
    """When an event was seen last; those of some reporters have no other instant than that of the first time."""
    times = (dig(event, "series", "lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next(filter(None, (*times, event.get("firstTimestamp"))), ""))


def _state(thing: Json) -> tuple[str, str]:
    status = dig(thing, "status") or {}
    if is_ending(thing):
        return "Terminating", status.get("message") or ""
    for one in status.get("initContainerStatuses") or []:
        state, why = _halted(one)
        if state and state != "PodInitializing":
            return f"Init:{state}", why
    for one in reversed(status.get("containerStatuses") or []):
        state, why = _halted(one, zero="Completed")
        if state:
            return state, why
    if status.get("reason"):
        return status["reason"], status.get("message") or ""
    conditions = status.get("conditions") or []
    unplaced = [one for one in conditions if one.get("type") == "PodScheduled" and one.get("status") == "False"]
    return status.get("phase") or "Unknown", (unplaced[0].get("message") or "") if unplaced else ""


def _halted(container: Json, zero: str = "") -> tuple[str, str]:
    """(reason, message) of a container that waits or has ended; `zero`: what an end without a fault is called."""
    waiting, ended = dig(container, "state", "waiting"), dig(container, "state", "terminated")
    if waiting and waiting.get("reason"):
        return waiting["reason"], waiting.get("message") or ""
    if ended and ended.get("exitCode"):
        return ended.get("reason") or "Error", ended.get("message") or f"exit status {ended['exitCode']}"
    return (zero, "") if ended else ("", "")


def services(things: Iterable[Json], slices: Iterable[Json]) -> list[Service]:
    """Services with the ready addresses of their endpoint slices; a pod with two addresses counts once."""
    ready: dict[str, set[str]] = {}
    for one in slices:
        name = labels(one).get(SERVICE_NAME, "")
        for endpoint in one.get("endpoints") or []:
            # An absent condition means ready.
            if dig(endpoint, "conditions", "ready") is not False:
                who = dig(endpoint, "targetRef", "uid") or endpoint["addresses"][0]
                ready.setdefault(name, set()).add(who)
    return [
        Service(name_of(one), dig(one, "spec", "type") or "ClusterIP", len(ready.get(name_of(one), ())))
        for one in things
    ]


def workload(kind: WorkloadKind, thing: Json, autoscalers: Iterable[Json]) -> Workload:
    """A deployment or stateful set. Of several containers with the same variable the first one's counts."""
    env: dict[str, str] = {}
    secrets: dict[str, tuple[str, str]] = {}
    for _, entry in reversed(_variables(thing)):
        name, secret = entry["name"], dig(entry, "valueFrom", "secretKeyRef")
        env.pop(name, None)
        secrets.pop(name, None)
        if not entry.get("valueFrom"):
            env[name] = entry.get("value") or ""
        elif secret:
            secrets[name] = (secret["name"], secret["key"])
    return Workload(
        kind=kind,
        namespace=str(dig(thing, "metadata", "namespace")),
        name=name_of(thing),
        uid=uid_of(thing),
        selector=selector(thing),
        replicas=replicas(thing),
        ready=number(thing, "status", "readyReplicas"),
        paused=is_paused(thing),
        restarted_at=restarted_at(thing),
        env=env,
        from_secret=secrets,
        autoscaler=_autoscaler(kind, name_of(thing), autoscalers),
        annotations=notes_of(thing),
        generation=generation(thing),
    )


def replicas(thing: Json) -> int:
    """How many are asked for; one when nobody said."""
    asked = dig(thing, "spec", "replicas")
    return 1 if asked is None else int(asked)


def is_paused(thing: Json) -> bool:
    """Whether a deployment takes changes without acting on them."""
    return bool(dig(thing, "spec", "paused"))


def is_on_delete(thing: Json) -> bool:
    """Whether a stateful set leaves it to somebody to delete its old pods."""
    return bool(dig(thing, "spec", "updateStrategy", "type") == "OnDelete")


def restarted_at(thing: Json) -> str:
    """The mark of the last restart."""
    return str((dig(thing, "spec", "template", "metadata", "annotations") or {}).get(RESTARTED, ""))


def _autoscaler(kind: WorkloadKind, name: str, autoscalers: Iterable[Json]) -> str:
    wanted = {"deployment": "Deployment", "statefulset": "StatefulSet"}[kind]
    for one in autoscalers:
        target = dig(one, "spec", "scaleTargetRef")
        if (dig(target, "kind"), dig(target, "name")) == (wanted, name):
            return name_of(one)
    return ""


def selector(thing: Json) -> str:
    """A workload's label selector as it stands in a query."""
    asked = dig(thing, "spec", "selector") or {}
    terms = [f"{key}={value}" for key, value in sorted((asked.get("matchLabels") or {}).items())]
    for one in asked.get("matchExpressions") or []:
        values = f"({','.join(one.get('values') or [])})"
        match one["operator"]:
            case "In" | "NotIn":
                terms.append(f"{one['key']} {one['operator'].lower()} {values}")
            case "Exists":
                terms.append(one["key"])
            case _:
                terms.append(f"!{one['key']}")
    return ",".join(terms)


def _variables(thing: Json) -> list[tuple[str, Json]]:
    """(container, entry) of every variable, in order."""
    containers = dig(thing, "spec", "template", "spec", "containers") or []
    return [(one["name"], entry) for one in containers for entry in one.get("env") or []]


def variable_of(thing: Json, variable: str) -> tuple[str, Json | None]:
    """(container, entry) where the variable stands first; the first container and None when nowhere."""
    found = next(((name, entry) for name, entry in _variables(thing) if entry["name"] == variable), None)
    return found or (thing["spec"]["template"]["spec"]["containers"][0]["name"], None)


def deployment_rollout(thing: Json, pods: Iterable[Json], sets: Sequence[Json]) -> Rollout:
    """`pods`: all that its selector means; `sets`: all replica sets that it means, listed after them."""
    status, wanted = thing.get("status") or {}, replicas(thing)
    foreign = {uid_of(one) for one in sets if controller(one)[1] != uid_of(thing)}
    pods = [one for one in pods if controller(one)[0] == "ReplicaSet" and controller(one)[1] not in foreign]
    # Until its controller has looked, the newest set is still the one before.
    seen = number(status, "observedGeneration") >= generation(thing)
    revision = notes_of(thing).get(REVISION)
    newest = {
        uid_of(one) for one in sets if seen and uid_of(one) not in foreign and notes_of(one).get(REVISION) == revision
    }
    new = [one for one in pods if controller(one)[1] in newest]
    counts = {number(status, key) for key in ("updatedReplicas", "replicas", "availableReplicas")}
    done = seen and counts == {wanted} and len(pods) == wanted
    stuck = ""
    if not done:
        stuck = "the deployment is paused" if is_paused(thing) else (_overdue(status) if seen else "") or hopeless(new)
    ready = sum(is_ready(one) for one in new)
    return Rollout(done, stuck, ready, wanted, _line(ready, wanted, new, pods))


def _overdue(status: Json) -> str:
    for one in status.get("conditions") or []:
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return one.get("message") or "it made no progress within its deadline"
    return ""


def set_rollout(thing: Json, pods: Iterable[Json]) -> Rollout:
    """The same for a stateful set, which has no deadline of its own; `partition` keeps some pods old on purpose."""
    status, wanted = thing.get("status") or {}, replicas(thing)
    pods = [one for one in pods if controller(one)[1] == uid_of(thing)]
    seen = number(status, "observedGeneration") >= generation(thing)
    partition = number(thing, "spec", "updateStrategy", "rollingUpdate", "partition")
    update = str(status.get("updateRevision") or "").rpartition("-")[2]
    new = [one for one in pods if seen and labels(one).get(SET_HASH, "").rpartition("-")[2] == update]
    ready, due = sum(is_ready(one) for one in new), max(0, wanted - partition)
    done = (
        seen
        and number(status, "updatedReplicas") >= due
        and min(number(status, "readyReplicas"), number(status, "availableReplicas")) >= wanted
        and (partition > 0 or status.get("updateRevision") == status.get("currentRevision"))
        and len(pods) == wanted
    )
    stuck = ""
    if not done:
        idle = is_on_delete(thing) and seen and ready < due
        stuck = "its pods are only replaced when somebody deletes them (OnDelete)" if idle else hopeless(new)
    return Rollout(done, stuck, ready, due, _line(ready, due, new, pods))


def hopeless(new: Iterable[Json]) -> str:
    """Why the new pods will not start by themselves; empty when they may."""
    for found in map(pod, new):
        if found.state in HOPELESS or (found.state == "CrashLoopBackOff" and found.restarts >= CRASHES):
            return f"{found.name}: {found.state}" + (f" ({found.why})" if found.why else "")
    return ""


def _line(ready: int, wanted: int, new: Sequence[Json], pods: Sequence[Json]) -> str:
    """The progress card's line: how many, how many old ones are left, and what the new ones wait for."""
    text = f"{ready} of {wanted} new pods ready"
    ending = sum(map(is_ending, pods))
    fresh = {uid_of(one) for one in new}
    old = sum(uid_of(one) not in fresh and not is_ending(one) for one in pods)
    text += f", {old} old left" if old else ""
    text += f", {ending} ending" if ending else ""
    waiting = sorted({pod(one).state for one in new if not is_ready(one)} - {"Running", "Terminating"})
    return text + (f" ({', '.join(waiting)})" if waiting else "")
