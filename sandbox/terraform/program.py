"""`terraform init | plan | show | state pull | apply` for `terraform_data` in *.tf.json files."""

import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.terraform import state as states
from sandbox.terraform.state import VERSION, Locked

Json = dict[str, Any]


class Wrong(Exception):
    """An error as Terraform says it."""

    def __init__(self, summary: str, detail: str = "") -> None:
        super().__init__(summary)
        self.summary, self.detail = summary, detail


def main(words: Sequence[str], pace: float, cloud: str) -> int:
    """The exit status: 0, 1 for an error, 2 of a plan with changes. `pace`: seconds that each resource takes; `cloud`: where
    the provider answers."""
    command, flags = words[0] if words else "", [w for w in words[1:] if w.startswith("-")]
    rest = [w for w in words[1:] if not w.startswith("-")]
    say = _json if "-json" in flags else _plain
    commands: dict[str, Callable[[], int]] = {
        "init": _init,
        "plan": lambda: _plan(flags, say, cloud),
        "show": lambda: _show(rest),
        "state": _pull,
        "apply": lambda: _apply(rest, say, pace, cloud),
        "version": lambda: print(f"Terraform v{VERSION}") or 0,
    }
    if command not in commands:
        print(f'Terraform has no command named "{command}".', file=sys.stderr)
        return 1
    try:
        try:
            return commands[command]()
        except Locked as locked:
            raise Wrong("Error acquiring the state lock", locked.detail()) from None
    except Wrong as wrong:
        if "-json" in flags and command != "show":
            about = {"severity": "error", "summary": wrong.summary, "detail": wrong.detail}
            say("diagnostic", f"Error: {wrong.summary}", {"diagnostic": about}, "error")
        else:
            text = "\n".join(f"│ {line}" for line in f"Error: {wrong.summary}\n\n{wrong.detail}".splitlines())
            print(f"╷\n{text}\n╵", file=sys.stderr)
        return 1


def _json(kind: str, message: str, more: Json | None = None, level: str = "info") -> None:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    line = {"@level": level, "@message": message, "@module": "terraform.ui", "@timestamp": now, "type": kind}
    print(json.dumps({**line, **(more or {})}), flush=True)


def _plain(_kind: str, message: str, _more: Json | None = None, _level: str = "info") -> None:
    print(message, flush=True)


def _config() -> tuple[Path, Json]:
    """(the state's file, resources by address) of this folder."""
    files = sorted(Path().glob("*.tf.json"))
    if not files:
        raise Wrong("No configuration files", "Plan requires configuration to be present.")
    where = Path("terraform.tfstate")
    found: Json = {}
    for file in files:
        try:
            read = json.loads(file.read_text())
        except ValueError as error:
            raise Wrong("Argument or block definition required", f"{file}: {error}") from error
        local = read.get("terraform", {}).get("backend", {}).get("local", {})
        where = Path(local.get("path", where))
        for kind, named in read.get("resource", {}).items():
            if kind != "terraform_data":
                raise Wrong("Invalid resource type", f'This practice Terraform does not support "{kind}".')
            found |= {f"{kind}.{name}": about for name, about in named.items()}
    return where, found


def _init() -> int:
    _config()
    Path(".terraform").mkdir(exist_ok=True)
    print("Terraform has been successfully initialized!")
    return 0


def _changes(wanted: Json, state: Json) -> list[Json]:
    """`resource_changes` as `show -json` gives them, what does not change among them."""
    rows = []
    for address in sorted({*wanted, *state["resources"]}):
        before, after = state["resources"].get(address), wanted.get(address)
        fixed = {"id": before["id"]} if before else {}
        new = None if after is None else {**fixed, "input": after.get("input"), "output": after.get("input")}
        if before is None:
            actions = ["create"]
        elif after is None:
            actions = ["delete"]
        else:
            actions = ["no-op"] if before["input"] == after.get("input") else ["update"]
        kind, name = address.split(".", 1)
        change = {"actions": actions, "before": before, "after": new, "after_unknown": {} if before else {"id": True}}
        about = {"mode": "managed", "type": kind, "name": name, "provider_name": "terraform.io/builtin/terraform"}
        rows.append({"address": address, **about, "change": change})
    return rows


def _refreshed(resources: Json, cloud: str) -> Json:
    """Those that are still there."""
    gone = _ask(cloud, "gone")
    return {address: about for address, about in resources.items() if address.partition(".")[2] not in gone}


def _ask(cloud: str, what: str, *, make: bool = False) -> Any:
    """The provider's answer. Raises Wrong."""
    request = urllib.request.Request(f"{cloud}/{what}", method="POST" if make else "GET")  # noqa: S310  ours
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Wrong(f"making {what} failed", str(json.load(error).get("error"))) from None
    except OSError as error:
        raise Wrong("the provider does not answer", str(error)) from error


def _plan(flags: Sequence[str], say: Callable[..., None], cloud: str) -> int:
    where, wanted = _config()
    if not Path(".terraform").is_dir():
        raise Wrong('Backend initialization required, please run "terraform init"')
    with states.locked(where, "OperationTypePlan"):
        state = states.read(where)
    say("version", f"Terraform {VERSION}", {"terraform": VERSION, "ui": "1.2"})
    rows = _changes(wanted, {**state, "resources": _refreshed(state["resources"], cloud)})
    moved = [row for row in rows if row["change"]["actions"] != ["no-op"]]
    for row in moved:
        action = row["change"]["actions"][0]
        about = {"change": {"resource": _resource(row), "action": action}}
        say("planned_change", f"{row['address']}: Plan to {action}", about)
    add, change, remove = (
        sum(word in row["change"]["actions"] for row in moved) for word in ("create", "update", "delete")
    )
    counts = {"changes": {"add": add, "change": change, "import": 0, "remove": remove, "operation": "plan"}}
    say("change_summary", f"Plan: {add} to add, {change} to change, {remove} to destroy.", counts)
    out = next((flag.partition("=")[2] for flag in flags if flag.startswith("-out=")), "")
    if out:
        kept = {
            "format_version": "1.2", "terraform_version": VERSION, "resource_changes": rows, "output_changes": {},
            "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "applyable": bool(moved), "complete": True, "errored": False,
            "practice": {"serial": state["serial"], "lineage": state["lineage"], "state": str(where)},
        }  # fmt: skip
        Path(out).write_text(json.dumps(kept))
    return 2 if moved and "-detailed-exitcode" in flags else 0


def _saved(rest: Sequence[str]) -> Json:
    if not rest:
        raise Wrong("No plan file", "This practice Terraform applies and shows saved plans only.")
    try:
        kept: Json = json.loads(Path(rest[0]).read_text())
    except (OSError, ValueError) as error:
        raise Wrong("Failed to read the given file as a state or plan file", str(error)) from error
    return kept


def _show(rest: Sequence[str]) -> int:
    print(json.dumps({name: value for name, value in _saved(rest).items() if name != "practice"}))
    return 0


def _pull() -> int:
    """`state pull`."""
    print(json.dumps(states.read(_config()[0])))
    return 0


def _apply(rest: Sequence[str], say: Callable[..., None], pace: float, cloud: str) -> int:
    kept = _saved(rest)
    where = Path(kept["practice"]["state"])
    say("version", f"Terraform {VERSION}", {"terraform": VERSION, "ui": "1.2"})
    counts = {"create": 0, "update": 0, "delete": 0}
    with states.locked(where, "OperationTypeApply"):
        state = states.read(where)
        if (state["serial"], state["lineage"]) != (kept["practice"]["serial"], kept["practice"]["lineage"]):
            raise Wrong(
                "Saved plan is stale",
                "The given plan file can no longer be applied because the state was changed by another operation"
                " after the plan was created.",
            )
        for row in kept["resource_changes"]:
            action = row["change"]["actions"][0]
            if action != "no-op":
                _one(row, action, state, say, pace, cloud)
                states.write(where, state)
                counts[action] += 1
    told = (counts["create"], counts["update"], counts["delete"])
    changes = {"add": told[0], "change": told[1], "import": 0, "remove": told[2], "operation": "apply"}
    text = f"Apply complete! Resources: {told[0]} added, {told[1]} changed, {told[2]} destroyed."
    say("change_summary", text, {"changes": changes})
    return 0


WORDS = {
    "create": ("Creating...", "Creation"),
    "update": ("Modifying...", "Modifications"),
    "delete": ("Destroying...", "Destruction"),
}


def _one(row: Json, action: str, state: Json, say: Callable[..., None], pace: float, cloud: str) -> None:
    address, (begins, ends) = row["address"], WORDS[action]
    hook = {"resource": _resource(row), "action": action}
    say("apply_start", f"{address}: {begins}", {"hook": hook})
    time.sleep(pace / 2)
    say("apply_progress", f"{address}: Still {begins.lower()} [0s elapsed]", {"hook": {**hook, "elapsed_seconds": 0}})
    time.sleep(pace / 2)
    if action == "create":
        try:
            _ask(cloud, row["address"].partition(".")[2], make=True)
        except Wrong:
            say("apply_errored", f"{address}: {ends} errored after 0s", {"hook": {**hook, "elapsed_seconds": 0}})
            raise
    if action == "delete":
        state["resources"].pop(address, None)
    else:
        state["resources"][address] = {"id": str(uuid.uuid4()), **row["change"]["after"]}
    say("apply_complete", f"{address}: {ends} complete after 0s", {"hook": {**hook, "elapsed_seconds": 0}})


def _resource(row: Json) -> Json:
    kind, name = row["address"].split(".", 1)
    return {
        "addr": row["address"], "module": "", "resource": row["address"], "implied_provider": "terraform",
        "resource_type": kind, "resource_name": name, "resource_key": None,
    }  # fmt: skip
