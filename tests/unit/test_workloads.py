"""What the actions on workloads decide: which pods wait, what may be forced, where a release goes back to, what differs."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from actions.deployment_undo import against as against_undo
from actions.deployment_undo import chosen
from actions.deployments import Restart
from actions.logs_errors import Errors, cut, findings, selector_of, words_of
from actions.pod_force_delete import against, warnings
from actions.pods import deployment_of, late, waits
from bot.clients.kubernetes_revisions import differences, number_of, revisions_of
from bot.clients.kubernetes_shapes import seen_at
from bot.errors import NotFound, NotNow
from bot.tools import Difference, LogLine, Pod, Revision, Workload
from tests.unit.given import estate

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
POD = Pod(
    namespace="production", name="api-server-5d9-x", uid="1", node="node-1", labels={"pod-template-hash": "5d9"},
    ready=False, state="Running", why="", restarts=0, started_at=NOW, phase="Running", created_at=NOW, ends_at=None,
    owner_kind="ReplicaSet", owner="api-server-5d9", owner_uid="2", finalizers=(), mirror=False,
)  # fmt: skip
DEPLOYMENT = Workload(
    kind="deployment", namespace="production", name="api-server", uid="3", selector="app=api-server", replicas=3, ready=3,
    paused=False, restarted_at="", env={}, from_secret={}, autoscaler="", annotations={}, generation=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "state", "waiting"),
    [
        ("Pending", "Pending", True),
        ("Pending", "ContainerCreating", True),
        ("Pending", "Terminating", False),
        ("Running", "CrashLoopBackOff", True),
        ("Running", "Init:Error", True),
        ("Running", "Running", False),
        ("Running", "Terminating", False),
        ("Running", "Completed", False),
        ("Succeeded", "Completed", False),
        ("Failed", "Evicted", False),
    ],
)
def test_who_waits_has_not_started_or_cannot(phase: str, state: str, waiting: bool) -> None:
    """Pending, or a container that does not come up; what ended or goes is neither."""
    assert waits(replace(POD, phase=phase, state=state)) is waiting


def test_a_deployment_is_named_by_its_replica_set() -> None:
    """Only where the mark of the template proves it."""
    assert deployment_of(POD) == "api-server"
    assert deployment_of(replace(POD, labels={})) == ""
    assert deployment_of(replace(POD, owner_kind="StatefulSet")) == ""


def test_what_serves_or_is_a_mirror_is_not_forced() -> None:
    """A ready pod has another way, which is named; a mirror is no pod of the cluster's."""
    assert "deployment.restart deployment=api-server" in against(replace(POD, ready=True))
    assert "a mirror" in against(replace(POD, mirror=True))
    assert against(POD) == ""


@pytest.mark.parametrize(
    ("changed", "alive", "says"),
    [
        ({}, True, ""),
        ({"ends_at": NOW + timedelta(seconds=20)}, True, "It has 20 s left to end by itself"),
        ({"ends_at": NOW - timedelta(seconds=20)}, True, ""),
        ({"owner_kind": "StatefulSet"}, True, "may run twice .* node-1 is ready, so the old container may still run"),
        ({"owner_kind": "StatefulSet"}, False, "may run twice .* not ready: nobody can tell"),
        ({"owner_kind": "StatefulSet"}, None, "may run twice .* is gone, which is safe"),
        ({"owner_kind": "StatefulSet", "node": ""}, None, ""),
        ({"owner_kind": "", "owner_uid": ""}, True, "nothing makes it anew"),
        ({"finalizers": ("a/b", "c/d")}, True, "Finalizers hold it, .*: a/b, c/d"),
    ],
)
def test_what_speaks_against_force(changed: dict[str, Any], alive: bool | None, says: str) -> None:
    """Each danger in a sentence, and nothing else."""
    found = warnings(replace(POD, **changed), alive, NOW)
    assert len(found) == bool(says)
    assert late(replace(POD, **changed), NOW) is (changed.get("ends_at", NOW) < NOW)
    if says:
        assert re.search(says, found[0]), found


def revision(number: int, *, current: bool = False, differs: tuple[Difference, ...] = ()) -> Revision:
    """One of the deployment's."""
    return Revision(number, f"api-server-{number}", str(number), NOW, current, differs)


def test_the_way_back_leads_to_the_revision_before() -> None:
    """By number, newest first; another one by its number, a newer one too; and refusals that say what there is."""
    revisions = [revision(5), revision(4, current=True), revision(2), revision(1)]
    assert [one.number for one in chosen(DEPLOYMENT, revisions, 0)] == [4, 2]
    assert [one.number for one in chosen(DEPLOYMENT, revisions, 5)] == [4, 5]
    with pytest.raises(NotNow, match="runs revision 4 already"):
        chosen(DEPLOYMENT, revisions, 4)
    with pytest.raises(NotFound, match="keeps no revision 3; beside the present one it keeps 5, 2, 1"):
        chosen(DEPLOYMENT, revisions, 3)
    with pytest.raises(NotNow, match=r"no revision before this one \(revision 4\)"):
        chosen(DEPLOYMENT, revisions[:2], 0)
    with pytest.raises(NotNow, match="not taken up the last change"):
        chosen(DEPLOYMENT, [revision(1)], 0)


def test_what_speaks_against_a_way_back() -> None:
    """A revision that runs the same, and settings that go back with it."""
    mark = Difference("mark", "annotation kubectl.kubernetes.io/restartedAt", "a", "b")
    image = Difference("image", "image of api-server", "a:2", "a:1")
    settings = tuple(Difference("variable", f"V{n} of api-server", "a", "b") for n in range(7))
    assert "runs the same as now" in against_undo(DEPLOYMENT, revision(2, differs=(mark,)))[0]
    assert against_undo(DEPLOYMENT, revision(2, differs=(mark, image))) == []
    (says,) = against_undo(DEPLOYMENT, revision(2, differs=(image, *settings)))
    assert "V0 of api-server" in says
    assert "and 2 more" in says


def template(image: str = "a:1", **more: Any) -> dict[str, Any]:
    """A pod template."""
    container = {"name": "main", "image": image, **more}
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container]}}


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (template(), template(), []),
        (template("a:2"), template("a:1"), [("image", "image of main", "a:2", "a:1")]),
        (
            template(env=[{"name": "A", "value": "s3cret"}, {"name": "B", "value": "x"}]),
            template(env=[{"name": "A", "value": "other"}, {"name": "C", "value": "y"}]),
            [
                ("variable", "A of main", "as it is now", "as it was then"),
                ("variable", "B of main", "as it is now", "not set"),
                ("variable", "C of main", "not set", "as it was then"),
            ],
        ),
        (
            template(resources={"requests": {"cpu": "64"}}, args=["--token=s3cret"]),
            template(),
            [
                ("other", "resources of main", "{requests: {cpu: 64}}", "not set"),
                ("other", "args of main", "as it is now", "not set"),
            ],
        ),
        (
            {**template(), "metadata": {"labels": {"app": "a"}, "annotations": {"at": "RUN-1"}}},
            template(),
            [("mark", "annotation at", "as it is now", "not set")],
        ),
        (
            {"spec": {"containers": [{"name": "b", "image": "b"}], "hostNetwork": True}},
            {"spec": {"containers": [{"name": "c", "image": "c"}], "hostNetwork": False}},
            [
                ("other", "container b", "there", "not there"),
                ("other", "container c", "not there", "there"),
                ("other", "hostNetwork", "as it is now", "as it was then"),
            ],
        ),
    ],
)
def test_what_differs_is_named_and_no_value_is_told(now: Any, then: Any, said: list[Any]) -> None:
    """Images and resources as they are; variables, arguments and the rest by name alone."""
    found = list(differences(now, then))
    assert [(one.kind, one.what, one.old, one.new) for one in found] == said
    assert "s3cret" not in str(found)


def test_revisions_are_those_of_the_deployment_itself() -> None:
    """Newest first; the mark that replica sets add counts for nothing; what another one owns is left out."""

    def kept(uid: str, owner: str, number: str, image: str) -> dict[str, Any]:
        meta = {
            "name": f"a-{uid}", "uid": uid, "ownerReferences": [{"kind": "Deployment", "uid": owner, "controller": True}],
            "annotations": {"deployment.kubernetes.io/revision": number} if number else None,
        }  # fmt: skip
        spec = template(image)
        spec["metadata"]["labels"] = {"app": "a", "pod-template-hash": uid}
        return {"metadata": meta, "spec": {"template": spec}}

    deployment = {"metadata": {"uid": "d"}, "spec": {"template": template("a:2")}}
    sets = [
        kept("1", "d", "1", "a:1"),
        kept("2", "d", "10", "a:2"),
        kept("3", "other", "11", "a:2"),
        kept("4", "d", "", "a:0"),
    ]
    found = revisions_of(deployment, sets)
    assert [(one.number, one.uid, one.current) for one in found] == [(10, "2", True), (1, "1", False), (0, "4", False)]
    assert number_of({}) == 0


def test_an_event_is_as_new_as_its_last_time() -> None:
    """Those of the scheduler have no `lastTimestamp`."""
    assert seen_at({"lastTimestamp": None, "eventTime": "2", "firstTimestamp": None}) == "2"
    assert seen_at({"series": {"lastObservedTime": "3"}, "lastTimestamp": "1"}) == "3"
    assert seen_at({}) == ""


def test_a_pattern_is_plain_words() -> None:
    """Alternatives by `|`, never an expression; none at all, or too many, are refused when they are typed."""
    assert words_of("ERROR|FATAL | ERROR") == ("ERROR", "FATAL")
    assert words_of("(a+)+$") == ("(a+)+$",)
    for pattern in ("|", "|".join(map(str, range(11))), "x" * 201):
        with pytest.raises(ValidationError):
            Errors(pattern=pattern)
    with pytest.raises(ValidationError):
        Errors(since=timedelta(0))
    assert cut("x" * 300) == "x" * 198 + " …"


def test_log_lines_are_shown_newest_first_and_what_was_not_read_is_said() -> None:
    """No more than fit on a card, a secret hidden before the line is cut; a log that could not be read is no error line."""
    secret = "ERROR " + "x" * 185 + " password=hunter2hunter2"
    lines = [LogLine("a", "main", f"ERROR {n}") for n in range(31)] + [LogLine("b", "main", secret)]
    lost = LogLine("c", "main", "[its log could not be read to its end: nobody answers]")
    seen = findings([*lines, lost], ("ERROR",), "the last 1 h", "3 pods with app=a", estate())
    assert (
        seen.headline
        == "the newest 30 lines with ERROR in the last 1 h, newest first, as far as the logs could be read"
    )
    texts = [line.text for line in seen.lines]
    assert texts[:2] == ["looked at: 3 pods with app=a", f"unknown: c: {lost.text}"]
    assert "hunter2" not in texts[2]
    assert texts[2].startswith("b: ERROR x")
    assert (texts[3], texts[-1], len(texts)) == ("a: ERROR 30", "a: ERROR 2", 32)
    assert findings([], ("ERROR", "FATAL"), "the last 5 min", "", estate()).headline == (
        "No line with ERROR or FATAL in the last 5 min"
    )


def test_without_a_selector_it_is_the_application() -> None:
    """The deployment of the service api; an estate without any has to be told."""
    assert selector_of(estate()) == "app=api-server"
    cluster = estate().cluster
    assert cluster is not None
    with pytest.raises(NotFound, match="selector="):
        selector_of(estate().model_copy(update={"cluster": cluster.model_copy(update={"deployments": ()})}))


def test_who_works_on_the_deployment_of_a_database_waits_for_its_restore() -> None:
    """The restore has stopped its writers; another deployment is nobody's."""
    assert Restart().locks(estate()) == ("deployment api-server in production", "database valuecanvas")
    assert Restart(deployment="frontend").locks(estate()) == ("deployment frontend in production",)
