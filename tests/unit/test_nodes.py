"""Nodes: which is worst, the machine behind one, whether there is room elsewhere, and what stands out of a cluster."""

from datetime import UTC, datetime, timedelta

import pytest

from actions.cluster_assess import SILENT, _events, _plane, unhealthy
from actions.node_drain import Round, against, is_lost, short_of
from actions.nodes import Place, differs, place_of, worst_first
from bot.clients.kubernetes_shapes import pod
from bot.tools import Amount, ControlPlane, Event, Fate, Machine, Node, Resident

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def node(name: str, *, ready: bool = True, pressures: tuple[str, ...] = (), cordoned: bool = False) -> Node:
    return Node(
        name=name, uid=name, ready=ready, why="", pressures=pressures, cordoned=cordoned, control_plane=False,
        provider="", address="", created_at=NOW, room=Amount(2.0, 4 << 30),
    )  # fmt: skip


def resident(name: str, on: str = "one", fate: Fate = "evicted", *, ready: bool = True, cores: float = 1.0,
             budgets: tuple[str, ...] = (), deadline: datetime | None = None) -> Resident:  # fmt: skip
    return Resident(
        namespace="here", name=name, uid=name, node=on, fate=fate, owner="deployment/it", ready=ready, local=False,
        deadline=deadline, asks=Amount(cores, 1 << 30), budgets=budgets,
    )  # fmt: skip


def test_the_worst_node_comes_first() -> None:
    """Not ready, under pressure, cordoned, well; by name among equals."""
    nodes = [
        node("d"),
        node("a"),
        node("c", cordoned=True),
        node("e", pressures=("MemoryPressure",)),
        node("f", ready=False),
    ]
    assert [one.name for one in worst_first(nodes)] == ["f", "e", "c", "a", "d"]


@pytest.mark.parametrize(
    ("provider", "place"),
    [
        ("aws:///us-east-1a/i-0a51c0de00000001", Place("us-east-1", "us-east-1a", "i-0a51c0de00000001")),
        ("aws:///us-gov-west-1b/i-0a51c0de", Place("us-gov-west-1", "us-gov-west-1b", "i-0a51c0de")),
        ("aws:///us-west-2-lax-1a/i-0a51c0de", Place("us-west-2", "us-west-2-lax-1a", "i-0a51c0de")),
        ("aws:///us-east-1a/fargate-ip-10-0-0-1", None),
        ("aws:///us-east-1a/i-0a51c0de;x", None),
        ("gce://project/zone/name", None),
        ("", None),
    ],
)
def test_a_provider_id_names_one_machine(provider: str, place: Place | None) -> None:
    """Of EC2's, with its region; nothing else is taken for one."""
    assert place_of(provider) == place


def test_a_machine_must_be_the_one_that_the_node_names() -> None:
    """Its zone and its address; what is terminated has no address, and a node's may be of the other family."""
    place = Place("us-east-1", "us-east-1a", "i-1")
    machine = Machine("i-1", "us-east-1a", "running", "10.0.0.1", "t3.large", "group")
    assert not differs(machine, place, "10.0.0.1")
    assert not differs(machine, place, "fd00::1")
    assert not differs(machine, place, "")
    assert "is 10.0.0.1, and the node's is 10.0.0.2" in differs(machine, place, "10.0.0.2")
    assert "in us-east-1b, not" in differs(Machine("i-1", "us-east-1b", "running", "", "", ""), place, "10.0.0.1")


def test_room_elsewhere_is_reckoned_by_what_pods_ask_for() -> None:
    """What runs on the other nodes is taken off, what has ended is not."""
    others = [node("two"), node("three")]
    there = [resident("a", "two"), resident("b", "three"), resident("c", "two", "over")]
    leaving = [resident("d"), resident("e")]
    assert not short_of(leaving, others, there + leaving)
    assert "ask for 2 cores and 2048 MiB, and the other nodes have 1 cores" in short_of(
        leaving, others, [*there, *leaving, resident("f", "two")]
    )


def test_what_forbids_a_drain_is_named() -> None:
    """Pods that nobody makes again, as many as fit, and pods under two budgets."""
    assert not against([resident("a"), resident("b", fate="daemonset", budgets=("x", "y"))])
    assert "here/p0, here/p1, here/p2, here/p3, here/p4 and 2 more" in against(
        [resident(f"p{n}", fate="orphan") for n in range(7)]
    )
    assert "here/a falls under more than one disruption budget (x, y)" in against([resident("a", budgets=("x", "y"))])


def test_a_pod_is_lost_with_its_node() -> None:
    """Not while either of them is ready."""
    assert is_lost(resident("a", ready=False), node("one", ready=False))
    assert not is_lost(resident("a", ready=False), node("one"))
    assert not is_lost(resident("a"), node("one", ready=False))


def test_a_drain_says_what_it_waits_for() -> None:
    """How many are left, how many end, and who has to wait why."""
    one = Round([resident("a", deadline=NOW), resident("b")], {"b": "budget x needs 2"})
    assert str(one) == "2 pods left; 1 ending; b waits: budget x needs 2"


def test_events_show_warnings_before_the_rest() -> None:
    """The newest of them, and in the order of time."""
    events = [Event(NOW - timedelta(seconds=n), n == 9, "Why", "here", f"pod/{n}", "it did", n) for n in range(10)]
    lines = _events(events)
    assert len(lines) == 8
    assert lines[0] == "12:00:00 Why pod/0: it did"
    assert lines[-1] == "11:59:51 WARNING Why pod/9: it did (×9)"
    assert _events("nobody answers") == ["events: unknown, nobody answers"]


def test_a_hidden_control_plane_is_unknown_and_a_silent_one_is_told() -> None:
    """No checks, a lease that nobody shows, and one that is not renewed."""
    leaders = {"kube-scheduler": None, "kube-controller-manager": NOW - SILENT - timedelta(seconds=30)}
    assert _plane(ControlPlane({}, leaders), NOW) == [
        "API server: it answers; its checks are unknown",
        "kube-scheduler: unknown, its lease is not shown (a managed cluster hides it)",
        "kube-controller-manager: SILENT, it renewed its lease 1 min 30 s ago",
    ]


def test_pods_that_have_done_their_work_are_well() -> None:
    """A job's pod is not ready and not ill."""
    states = {
        "Running": {"running": {}},
        "Completed": {"terminated": {"exitCode": 0, "reason": "Completed"}},
        "CrashLoopBackOff": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    pods = [
        pod({
            "metadata": {"name": name, "namespace": "here", "uid": name, "creationTimestamp": NOW.isoformat()},
            "spec": {"containers": []},
            "status": {
                "phase": "Running",
                "containerStatuses": [{"name": "one", "state": state}],
                "conditions": [{"type": "Ready", "status": str(name == "Running")}],
            },
        })
        for name, state in states.items()
    ]  # fmt: skip
    assert [one.state for one in pods] == list(states)
    assert [one.name for one in unhealthy(pods)] == ["CrashLoopBackOff"]
