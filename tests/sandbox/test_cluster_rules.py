"""The cluster's patches and selectors on plain values: the parts that are easy to get subtly wrong."""

from typing import Any

import pytest

from sandbox.cluster.controllers.deployments import limits
from sandbox.cluster.errors import ApiError
from sandbox.cluster.kinds import NODES, PODS
from sandbox.cluster.patches import json_patch, merge_patch, strategic_merge
from sandbox.cluster.selectors import matcher, selected


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"c": None, "d": 3}}, {"a": 1, "b": {"d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"finalizers": ["x"]}, {"finalizers": ["y", "x"]}, {"finalizers": ["x", "y"]}),
        ({"finalizers": ["x"]}, {"finalizers": None}, {}),
        ({"env": [{"name": "a", "v": 1}]}, {"env": [{"name": "b"}]}, {"env": [{"name": "b"}, {"name": "a", "v": 1}]}),
        ({"env": [{"name": "a"}]}, {"env": [{"name": "a", "$patch": "delete"}]}, {"env": []}),
        ({"env": [{"name": "a"}]}, {"env": [{"$patch": "replace"}, {"name": "b"}]}, {"env": [{"name": "b"}]}),
        ({"s": {"a": 1}}, {"s": {"$patch": "replace", "b": 2}}, {"s": {"b": 2}}),
        ({"s": {"a": 1}}, {"s": {"$patch": "delete"}}, {}),
        ({"ports": [{"port": 1, "x": 1}]}, {"ports": [{"port": 1, "x": 2}]}, {"ports": [{"port": 1, "x": 2}]}),
        ({}, {"metadata": {"$setElementOrder/env": ["a"]}}, {"metadata": {}}),
    ],
)
def test_strategic_merge(target: Any, patch: Any, result: Any) -> None:
    """Named things are merged by their name, sets are joined, everything else is as in a merge patch."""
    before = repr(target)
    assert strategic_merge(target, patch) == result
    assert repr(target) == before


def test_merge_patch_replaces_lists() -> None:
    """RFC 7386, also where there was no object before."""
    assert merge_patch({"a": [1], "b": 1}, {"a": [2], "b": None, "c": {"d": None}}) == {"a": [2], "c": {}}
    assert merge_patch({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}


def test_json_patch_operations() -> None:
    """RFC 6902: all six, in order, on a copy."""
    target = {"a": [1, 2], "b": {"c/d": 1}}
    operations = [
        {"op": "test", "path": "/b/c~1d", "value": 1},
        {"op": "add", "path": "/a/1", "value": 9},
        {"op": "replace", "path": "/a/0", "value": 0},
        {"op": "copy", "from": "/a/2", "path": "/a/-"},
        {"op": "move", "from": "/b/c~1d", "path": "/e"},
        {"op": "remove", "path": "/b"},
    ]
    assert json_patch(target, operations) == {"a": [0, 9, 2, 2], "e": 1}
    assert target == {"a": [1, 2], "b": {"c/d": 1}}


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"a": 1}, 400),
        ([{"path": "/a"}], 400),
        ([{"op": "dance", "path": "/a"}], 400),
        ([{"op": "replace", "path": "/x", "value": 1}], 422),
        ([{"op": "add", "path": "/a/5", "value": 1}], 422),
        ([{"op": "add", "path": "/a/-"}], 422),
        ([{"op": "remove", "path": "/a/-"}], 422),
        ([{"op": "add", "path": "no", "value": 1}], 422),
        ([{"op": "test", "path": "/a", "value": None}], 422),
    ],
)
def test_json_patches_that_do_not_fit(patch: Any, code: int) -> None:
    """400 for no patch, 422 for one that cannot be applied."""
    with pytest.raises(ApiError) as refusal:
        json_patch({"a": [1]}, patch)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("labels", "meant"),
    [
        ("", True),
        ("a=1", True),
        ("a==1,b", True),
        ("a!=2", True),
        ("c!=1", True),
        ("a in (1, 2)", True),
        ("a notin (1,2)", False),
        ("!c", True),
        ("!a", False),
        ("c", False),
    ],
)
def test_label_selectors(labels: str, meant: bool) -> None:
    """As kubectl takes them."""
    assert matcher(PODS, labels, "")({"metadata": {"labels": {"a": "1", "b": "2"}}}) is meant


def test_field_selectors() -> None:
    """What is absent is empty, or false; unknown ones and nonsense are refused."""
    node = {"metadata": {"name": "n"}, "spec": {}}
    assert matcher(NODES, "", "spec.unschedulable=false,metadata.name!=m")(node)
    for labels, fields in (("a in", ""), ("", "spec.image=x"), ("", "a")):
        with pytest.raises(ApiError):
            matcher(PODS, labels, fields)


def test_set_based_selectors_of_objects() -> None:
    """matchLabels and matchExpressions hold together; no selector means nothing, an empty one everything."""
    expressions = [
        {"key": "a", "operator": "In", "values": ["1"]},
        {"key": "b", "operator": "DoesNotExist"},
        {"key": "c", "operator": "NotIn", "values": ["1"]},
        {"key": "a", "operator": "Exists"},
    ]
    selector = {"matchLabels": {"a": "1"}, "matchExpressions": expressions}
    assert [selected(selector, labels) for labels in ({"a": "1"}, {"a": "1", "b": ""}, {})] == [True, False, False]
    assert (selected(None, {}), selected({}, {})) == (False, True)


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "both"),
    [("25%", "25%", 3, (1, 0)), ("25%", "25%", 8, (2, 2)), (0, 0, 3, (0, 1)), (2, 1, 3, (2, 1))],
)
def test_how_many_may_be_on_the_way(surge: Any, unavailable: Any, replicas: int, both: tuple[int, int]) -> None:
    """Surge is rounded up, unavailable down, and never both are zero."""
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    assert limits({"replicas": replicas, "strategy": {"rollingUpdate": rolling}}) == both
