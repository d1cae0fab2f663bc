"""`/recover`: list, plan, approve, reject, stop, undo. Every button has a command that does the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.action import Action, Observation, Procedure, Tools
from bot.catalogue import Catalogue, Parameter, parameters, spelled, split
from bot.chat import ReplyTo
from bot.clock import spoken
from bot.desk import Answer, Desk
from bot.errors import BadInput, NeighbourError, NotNow
from bot.incident import clean_text, parse_number
from bot.recovery import Recovery
from handlers.blocks import (
    OPTIONS_MAX,
    VALUE_MAX,
    Block,
    as_typed,
    context,
    esc,
    modal,
    option,
    section,
    select,
    text_input,
    typed,
)  # fmt: skip
from handlers.click import Click
from handlers.slack import Windows

START, REJECT, OVERRIDE = "recover_start", "recover_reject", "recover_override"
DECIDING = ("approve", "reject", "override", "stop", "undo", "done")
"""Words that are followed by a run."""

_RUN = re.compile(r"^(?:RUN-?|#)?(\d{1,9})$", re.IGNORECASE)


def parse_run(text: str) -> int:
    """`RUN-7`, `run7`, `#7`, `7` → 7. Raises BadInput."""
    match = _RUN.match(text)
    if match is None:
        raise BadInput(f"`{text or 'nothing'}` is no run. Say its number: `/recover approve RUN-7`.")
    return int(match[1])


class Recovering:
    """Everything about actions and runs."""

    def __init__(self, desk: Desk, recovery: Recovery, windows: Windows, tools: Tools) -> None:
        self._desk = desk
        self._recovery = recovery
        self._windows = windows
        self._tools = tools

    @property
    def _catalogue(self) -> Catalogue:
        return self._recovery.catalogue

    async def command(self, click: Click) -> None:
        word, _, rest = click.text.partition(" ")
        rest = rest.strip()
        if word.lower() == "help":
            text = help_one(self._catalogue.find(rest)) if rest else help_all(self._catalogue)
            await self._desk.answer(click.key, Answer(click.back, "help", {"text": text}))
        elif word.lower() in DECIDING:
            run, _, reason = rest.partition(" ")
            await self._decide(click, word.lower(), parse_run(run), "", reason)
        elif not word:
            await self._list(click)
        else:
            number, rest = await self._where(click, rest)
            await self._ask(click, number, self._recovery.procedure(word, split(as_typed(rest))), click.back)

    async def _where(self, click: Click, rest: str) -> tuple[int | None, str]:
        """(the incident of this room, or the one that is named first; None outside, the remaining words)."""
        head, _, more = rest.partition(" ")
        named = parse_number(head)
        if named is not None:
            case = await self._desk.case(named)
            if case.incident.private and case.incident.room != click.channel:
                raise BadInput(f"INC-{named} can only be worked on from its own room.")
            return named, more.strip()
        return await self._desk.number_of_room(click.channel), rest

    async def _ask(self, click: Click, number: int | None, procedure: Procedure, back: ReplyTo) -> None:
        if isinstance(procedure, Observation):
            await self._recovery.observe(click.key, number, procedure, click.who, back)
        elif isinstance(procedure, Action):
            if number is None:
                raise NotNow(
                    f"`{procedure.name}` changes production, so it needs an incident: declare one, and use its room."
                    " Observations work anywhere."
                )
            await self._recovery.request(click.key, number, procedure, click.who, back)

    async def _list(self, click: Click) -> None:
        """The catalogue with a button each: the scenario of this room first."""
        number = await self._desk.number_of_room(click.channel)
        scenario = None if number is None else (await self._desk.case(number)).incident.scenario
        rows = [
            {"name": p.name, "title": p.title(), "risk": str(p.risk), "usual": spoken(p.usual), "number": number or ""}
            for p in self._catalogue.ordered(scenario)
            if number is not None or issubclass(p, Observation)
        ]
        await self._desk.answer(click.key, Answer(click.back, "actions", {"actions": rows, "scenario": scenario or ""}))

    async def start(self, click: Click) -> None:
        """A button of an action: its window when it has parameters that are not given yet, else at once."""
        value = json.loads(click.value)
        kind = self._catalogue.find(str(value["name"]))
        number = int(value["incident"]) if value.get("incident") else None
        if not value.get("words") and parameters(kind):
            await self._open(click, kind, number)
        else:
            await self._ask(click, number, self._catalogue.make(kind.name, value.get("words", {})), click.back)

    async def _open(self, click: Click, kind: type[Procedure], number: int | None) -> None:
        """A loading window first, as the choices are read from the estate, which may be slow."""
        data = json.dumps({"name": kind.name, "number": number, "channel": click.channel})
        lead = section(f"*{esc(kind.title())}*\n`{kind.name}`, {kind.risk} risk, usually {spoken(kind.usual)}")
        try:
            view_id = await self._windows.open(
                click.trigger, modal(START, "Recover", [lead, context(":hourglass: looking…")], data=data)
            )
        except NeighbourError as error:
            text = f"The window could not be opened ({error}). Type it instead: /recover {kind.name} key=value"
            await self._desk.answer(click.key, Answer(click.back, "sorry", {"text": text}))
            return
        fields = [await self._field(kind, name) for name in kind.model_fields]
        await self._windows.update(view_id, modal(START, "Recover", [lead, *fields], "Make the plan", data))

    async def _field(self, kind: type[Procedure], name: str) -> Block:
        parameter = next(p for p in parameters(kind) if p.name == name)
        try:
            choices = await kind.choices(name, self._tools)
        except NeighbourError as error:
            return _typed_in(parameter, f"{parameter.help} The choices could not be read: {error}")
        return input_of(kind, parameter, choices or [(value, value) for value in parameter.options])

    async def submit(self, click: Click) -> None:
        """The window of an action was sent; what is wrong in it was said in it before."""
        number = click.data.get("number")
        procedure = self._catalogue.make(str(click.data["name"]), _words(click.view))
        await self._ask(click, number, procedure, replace(click.back, channel=str(click.data["channel"])))

    def wrong(self, view: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong in a submitted window of an action, by input."""
        data = json.loads(view.get("private_metadata") or "{}")
        try:
            self._catalogue.make(str(data["name"]), _words(view))
        except BadInput as error:
            return {error.field: str(error)} if error.field else {}
        return {}

    async def button(self, click: Click) -> None:
        """A button of a card: `<run>` or `<run>:<digest>`."""
        word = click.name.removeprefix("recover_")
        number, _, digest = click.value.partition(":")
        if word in ("reject", "override"):
            await self._reason(click, word, int(number))
        else:
            await self._decide(click, word, int(number), digest, "")

    async def _reason(self, click: Click, word: str, number: int) -> None:
        title = "Reject the plan" if word == "reject" else "Break the glass"
        hint = (
            "Whoever asked will read it." if word == "reject" else "It calls the next rung, and is reviewed afterwards."
        )
        data = json.dumps({"run": number, "channel": click.channel})
        view = modal(f"recover_{word}", title, [text_input("reason", "Why", most=500, hint=hint)], "OK", data)
        try:
            await self._windows.open(click.trigger, view)
        except NeighbourError as error:
            text = f"The window could not be opened ({error}). Type it instead: /recover {word} RUN-{number} <reason>"
            await self._desk.answer(click.key, Answer(click.back, "sorry", {"text": text}))

    async def reasoned(self, click: Click) -> None:
        """A window with a reason was sent."""
        word = click.name.removeprefix("recover_")
        click = replace(click, channel=str(click.data["channel"]))
        await self._decide(click, word, int(click.data["run"]), "", str(typed(click.view).get("reason", "")))

    async def _decide(self, click: Click, word: str, number: int, digest: str, reason: str) -> None:
        recovery, back = self._recovery, click.back
        await recovery.may_see(await recovery.run(number), click.channel)
        reason = self._desk.store.redact(clean_text(as_typed(reason), "reason", 500))
        match word:
            case "approve":
                await recovery.approve(click.key, number, digest, click.who, back)
            case "reject":
                await recovery.reject(click.key, number, reason, click.who, back)
            case "override":
                await recovery.override(click.key, number, reason, click.who, back)
            case "stop":
                await recovery.stop(click.key, number, click.who, back)
            case "undo":
                await recovery.undo(click.key, number, click.who, back)
            case _:
                await recovery.done(click.key, number, click.who, back)


def input_of(kind: type[Procedure], parameter: Parameter, choices: Sequence[tuple[str, str]]) -> Block:
    """A parameter in the window: a list of (value, what is shown) where there is one. What Slack does not take into a list is named."""
    listed = [(value, shown) for value, shown in choices if len(value) <= VALUE_MAX][:OPTIONS_MAX]
    others = ", ".join(value for value, shown in choices if (value, shown) not in listed)
    hint = parameter.help
    if others:
        hint += f" There is more, for /recover {kind.name} {parameter.name}=…: {others}"
    if not listed:
        return _typed_in(parameter, hint)
    options = [option(shown, value) for value, shown in listed]
    initial = parameter.default or choices[0][0]
    return select(
        parameter.name, _label(parameter), options, initial=initial, optional=not parameter.required, hint=hint
    )


def _typed_in(parameter: Parameter, hint: str) -> Block:
    return text_input(
        parameter.name,
        _label(parameter),
        optional=not parameter.required,
        most=1000,
        value=parameter.default,
        hint=hint,
    )


def _label(parameter: Parameter) -> str:
    return parameter.name.replace("_", " ").capitalize()


def _words(view: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in typed(view).items()}


def help_all(catalogue: Catalogue) -> str:
    """Every command and every action, a line each."""
    rows = [
        "*Recovery* · every button has a command that does the same",
        "• `/recover` lists the actions with buttons; `/recover help &lt;name&gt;` explains one.",
        "• `/recover &lt;name&gt; [key=value …]` asks for one. Outside a room, name the incident after it: `INC-7`.",
        "• `/recover approve|reject|override|stop|undo|done RUN-&lt;n&gt; [reason]` decides about a run, in its room.",
    ]
    rows += [f"• `{p.name}` ({p.risk}, {spoken(p.usual)}): {esc(p.title())}" for p in catalogue]
    return "\n".join(rows)


def help_one(kind: type[Procedure]) -> str:
    """An action's parameters, and an example that can be typed."""
    rows = [f"*{kind.name}* · {kind.risk} risk, usually {spoken(kind.usual)}", esc(kind.title()) + "."]
    for p in parameters(kind):
        values = " or ".join(f"`{o}`" for o in p.options) or p.kind
        default = "needed" if p.required else f"default `{p.default}`" if p.default else "may be left out"
        rows.append(f"• `{p.name}=` {esc(p.help)} ({values}; {default})")
    words = {
        p.name: p.default or (p.options[0] if p.options else "…") for p in parameters(kind) if p.required or p.default
    }
    rows.append(f"Type `/recover {kind.name}{' ' + spelled(words) if words else ''}`")
    return "\n".join(rows)
