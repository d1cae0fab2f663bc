"""Terraform by its command line: plans that are saved, shown and applied as they are."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.clients.git import Git
from bot.errors import NeighbourError, Refused, Unavailable
from bot.tools import Planned

log = logging.getLogger("bot.terraform")

KEPT_FOR = 3600.0
"""Seconds for which a saved plan is offered again: the world moves on."""
LOCKED_WITHIN = 1800.0
"""Seconds that a look at what remains waits for whoever holds the state, as an apply that outlived its bot."""
PLAN_WITHIN, APPLY_WITHIN = 540.0, 7200.0
BETWEEN, BETWEEN_LINES = 1.0, 0.1
"""Seconds between looks at a held state, and at what a running Terraform has said."""
_OURS = (
    "SLACK_",
    "PAGERDUTY_",
    "BOT_",
    "API_TOKEN",
    "ADMIN_TOKEN",
    "DATABASE_URL",
    "REPLICA_DATABASE_URL",
    "REDIS_URL",
)
"""What of our environment a program of somebody else's has no business with."""
HOW_TO_INSTALL = (
    "Terraform is not installed where the bot runs. Install it there"
    " (https://developer.hashicorp.com/terraform/install), put it on the bot's PATH, then plan again"
)


class TerraformInfrastructure:
    """`Infrastructure`. Everything is kept below `home`: checkouts, and plans by their SHA-256."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._plans = home / "plans"
        kept = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
        self._git = Git(home / "checkouts", kept)
        quiet = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
        self._environ = {**{n: v for n, v in kept.items() if n not in ("TF_CLI_ARGS", "TF_LOG")}, **quiet}
        self._one_at_a_time = asyncio.Lock()

    async def head(self, repository: str) -> str:
        return await self._git.head(repository)

    async def plan(self, repository: str, commit: str, folder: str) -> Planned:
        async with self._one_at_a_time:
            where = await self._ready(repository, commit, folder)
            serial = await self._serial(where)
            file = await self._planned(where)
            made = planned(await self._show(where, file), await _sha256(file))
            pointer = self._plans / f"{commit}-{made.changes}-{serial}"
            earlier = await asyncio.to_thread(_fresh, pointer, self._plans)
            if earlier:
                await asyncio.to_thread(file.unlink)
                return planned(await self._show(where, self._plans / f"{earlier}.tfplan"), earlier)
            await asyncio.to_thread(file.replace, self._plans / f"{made.sha256}.tfplan")
            await asyncio.to_thread(pointer.write_text, made.sha256)
            return made

    async def apply(
        self, repository: str, commit: str, folder: str, sha256: str, progress: Callable[[str], None]
    ) -> str:
        async with self._one_at_a_time:
            file = self._plans / f"{sha256}.tfplan"
            await self.must_have(sha256)
            try:
                where = await self._ready(repository, commit, folder)
            except NeighbourError as error:
                raise Refused(f"nothing was applied: {error}") from error
            words = ("apply", "-input=false", "-json", "-lock-timeout=0s", str(file))
            told = _Told(progress)
            try:
                await self._run(where, words, told, within=APPLY_WITHIN)
            except Refused as refused:
                if refused.code == "Stale":
                    await asyncio.to_thread(file.unlink, missing_ok=True)
                before = f". Before that: {'; '.join(told.done)}" if told.done else ""
                raise Refused(f"{refused}{before}", refused.code) from refused
            return told.summary or "applied"

    async def must_have(self, sha256: str) -> None:
        file = self._plans / f"{sha256}.tfplan"
        if not await asyncio.to_thread(file.exists) or await _sha256(file) != sha256:
            raise Refused(
                f"the saved plan {sha256[:12]} is not on this machine (another replica made it, or it was cleared away),"
                " and nothing else is applied in its place",
                "NoPlan",
            )

    async def remaining(self, repository: str, commit: str, folder: str) -> str:
        end = time.monotonic() + LOCKED_WITHIN
        while True:
            try:
                async with self._one_at_a_time:
                    where = await self._ready(repository, commit, folder)
                    file = await self._planned(where)
                    left = planned(await self._show(where, file), await _sha256(file))
                    await asyncio.to_thread(file.unlink)
            except Refused as refused:
                if refused.code != "Locked" or time.monotonic() > end:
                    raise
                await asyncio.sleep(BETWEEN)
            else:
                return left.changes if left.lines else ""

    async def manifests(self, repository: str, commit: str, folder: str) -> Sequence[Mapping[str, Any]]:
        where = _inside(await self._git.checkout(repository, commit), folder)
        return await asyncio.to_thread(_objects, where)

    async def _ready(self, repository: str, commit: str, folder: str) -> Path:
        where = _inside(await self._git.checkout(repository, commit), folder)
        await asyncio.to_thread(self._plans.mkdir, mode=0o700, parents=True, exist_ok=True)
        if not await asyncio.to_thread(where.is_dir):
            raise Refused(f"the repository has no folder {folder} at {commit[:12]}")
        locked = await asyncio.to_thread((where / ".terraform.lock.hcl").exists)
        await self._run(
            where, ("init", "-input=false", "-no-color", *(("-lockfile=readonly",) if locked else ())), None
        )
        return where

    async def _planned(self, where: Path) -> Path:
        """A new saved plan, under a passing name."""
        file = self._plans / f"new-{time.time_ns()}"
        words = ("plan", "-input=false", "-json", "-detailed-exitcode", "-lock-timeout=0s", f"-out={file}")
        await self._run(where, words, _Told(lambda _: None), fine=(0, 2))
        return file

    async def _serial(self, where: Path) -> str:
        """Which state it is: a plan of an earlier one is stale, also when it would change the same."""
        text = await self._run(where, ("state", "pull"), None)
        try:
            state = json.loads(text or "{}")
            return hashlib.sha256(f"{state.get('lineage')} {state.get('serial')}".encode()).hexdigest()[:16]
        except (ValueError, AttributeError):
            raise Refused("what Terraform says of its state cannot be read") from None

    async def _show(self, where: Path, file: Path) -> Mapping[str, Any]:
        out = await self._run(where, ("show", "-json", "-no-color", str(file)), None)
        try:
            return dict(json.loads(out))
        except ValueError:
            raise Refused("what Terraform says of its plan cannot be read") from None

    async def _run(
        self,
        where: Path,
        words: Sequence[str],
        told: _Told | None,
        *,
        fine: Sequence[int] = (0,),
        within: float = PLAN_WITHIN,
    ) -> str:
        """One call; its output. A call that we do not wait for any more goes on: an apply must not be cut in the middle."""
        program = shutil.which("terraform", path=self._environ.get("PATH"))
        if program is None:
            raise Refused(HOW_TO_INSTALL, "NoTerraform")
        # Into files, not pipes: an apply that outlives the bot must not die of a reader that is gone.
        said = self._plans / f"said-{time.time_ns()}"
        wrong = said.with_name(f"{said.name}-errors")
        with said.open("wb") as out, wrong.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                program, *words, cwd=where, env=self._environ, start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=errors,
            )  # fmt: skip
        try:
            async with asyncio.timeout(within):
                status = await _follow(process, said, told)
        except TimeoutError:
            raise Unavailable(f"terraform {words[0]} was not done within {within:g} s; it goes on") from None
        text, rest = await asyncio.to_thread(_taken, said), await asyncio.to_thread(_taken, wrong)
        if status in fine:
            return text
        raise _refusal(words[0], told.errors if told else [], rest or text)


class _Told:
    """Terraform's -json lines as they come: live progress, errors, what is done, and the summary."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self.errors: list[str] = []
        self.done: list[str] = []
        self.summary = ""

    def line(self, text: str) -> None:
        """One line; what is no JSON is not Terraform's."""
        try:
            said = json.loads(text)
        except ValueError:
            return
        kind, message = said.get("type"), str(said.get("@message", ""))
        if kind == "diagnostic" and said.get("diagnostic", {}).get("severity") == "error":
            diagnostic = said["diagnostic"]
            self.errors.append(f"{diagnostic.get('summary', '')}\n{diagnostic.get('detail', '')}")
        elif kind == "change_summary":
            self.summary = message
        elif kind in ("apply_start", "apply_progress", "apply_complete", "apply_errored"):
            self._progress(message)
            if kind == "apply_complete":
                self.done.append(message)


async def _follow(process: asyncio.subprocess.Process, said: Path, told: _Told | None) -> int:
    """The exit status, once it has ended; its lines are told as they come."""
    waiting = asyncio.ensure_future(process.wait())
    with said.open("rb") as file:
        begun = b""
        while True:
            ended, _ = await asyncio.wait({waiting}, timeout=BETWEEN_LINES)
            *lines, begun = (begun + file.read()).split(b"\n")
            for line in lines:
                if told is not None:
                    told.line(line.decode(errors="replace"))
            if ended:
                return waiting.result()


def _taken(file: Path) -> str:
    text = file.read_text(encoding="utf-8", errors="replace")
    file.unlink()
    return text


def _refusal(word: str, errors: Sequence[str], rest: str) -> Refused:
    text = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", "\n".join(errors) or rest)
    if "Error acquiring the state lock" in text:
        found = {
            m[1]: m[2].strip() for m in re.finditer(r"^\s*(ID|Operation|Who|Created):\s*(.+)$", text, re.MULTILINE)
        }
        doing = found.get("Operation", "").removeprefix("OperationType").lower() or "something"
        return Refused(
            f"Terraform's state is locked by {found.get('Who', 'somebody')} ({doing}) since {found.get('Created', 'unknown')},"
            f" lock {found.get('ID', 'unknown')}. Wait until that has ended; when it is dead: terraform force-unlock",
            "Locked",
        )
    if "Saved plan is stale" in text:
        return Refused("the state has changed since the plan was saved, so Terraform refuses it. Plan again", "Stale")
    return Refused(f"terraform {word} failed: {' '.join(text.split())[:400] or 'it said nothing'}")


def planned(shown: Mapping[str, Any], sha256: str) -> Planned:
    """What `terraform show -json` says of a plan, without what is different each time, as its timestamp."""
    moved = []
    for one in shown.get("resource_changes") or []:
        actions = [a for a in one["change"]["actions"] if a not in ("no-op", "read")]
        if actions:
            moved.append((str(one["address"]), actions, one["change"]))
    moved.sort(key=lambda row: row[0])
    outputs = {n: c for n, c in (shown.get("output_changes") or {}).items() if c.get("actions") != ["no-op"]}
    body = json.dumps([moved, outputs], sort_keys=True, separators=(",", ":"))
    return Planned(
        sha256=sha256,
        changes=hashlib.sha256(body.encode()).hexdigest(),
        add=sum("create" in a for _, a, _ in moved),
        change=sum("update" in a for _, a, _ in moved),
        destroy=sum("delete" in a for _, a, _ in moved),
        destroys=tuple(address for address, a, _ in moved if "delete" in a),
        lines=tuple(f"{address}: {' and '.join(a)}" for address, a, _ in moved),
    )


def _fresh(pointer: Path, plans: Path) -> str:
    """The SHA-256 of the plan that was saved for the same changes of the same state a while ago, if it is there; old ones are
    cleared away."""
    for file in plans.glob("*"):
        if time.time() - file.stat().st_mtime > KEPT_FOR:
            file.unlink(missing_ok=True)
    sha256 = pointer.read_text() if pointer.exists() else ""
    return sha256 if sha256 and (plans / f"{sha256}.tfplan").exists() else ""


async def _sha256(file: Path) -> str:
    return hashlib.sha256(await asyncio.to_thread(file.read_bytes)).hexdigest()


def _inside(checkout: Path, folder: str) -> Path:
    where = (checkout / folder).resolve()
    if not where.is_relative_to(checkout.resolve()):
        raise Refused(f"the folder {folder} leads out of the repository")
    return where


def _objects(where: Path) -> list[Mapping[str, Any]]:
    files = sorted(f for f in where.glob("*") if f.suffix in (".yaml", ".yml", ".json"))
    if not files:
        raise Refused(f"there are no manifests in {where.name}")
    found: list[Mapping[str, Any]] = []
    for file in files:
        try:
            documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            raise Refused(f"{file.name} is not YAML{f', see its line {mark.line + 1}' if mark else ''}") from error
        for one in documents:
            if not one:
                continue
            if not isinstance(one, dict):
                raise Refused(f"{file.name} holds something that is no object")
            items = one.get("items")
            listed = str(one.get("kind", "")) == "List" and isinstance(items, list)
            found += [item for item in items or [] if isinstance(item, dict)] if listed else [one]
    return found
