"""Any card, drawn: what the bot means → (fallback text, blocks)."""

from __future__ import annotations

from bot.chat import AnnounceCard, AssessmentCard, BoardCard, Card, FindingsCard, LineCard, ReportCard, RunCard
from handlers import board, lines, recover_cards
from handlers.blocks import Block, actions, clip, context, divider, esc, fit, header, practice_mark, section
from handlers.blocks import lines as joined

FALLBACK_MAX = 3900
NO_SERVICE = "no service any more"


def draw(card: Card) -> tuple[str, list[Block]]:
    """What is sent for `card`: text at most 3,900 characters, blocks within Slack's limits."""
    match card:
        case BoardCard():
            text, blocks = board.draw(card.board)
        case AnnounceCard():
            text, blocks = board.announce(card.board)
        case LineCard():
            text, blocks = lines.draw(card.line, card.data)
        case AssessmentCard():
            text, blocks = _assessment(card)
        case ReportCard():
            text, blocks = _report(card)
        case RunCard():
            text, blocks = recover_cards.draw_run(card)
        case FindingsCard():
            text, blocks = recover_cards.draw_findings(card)
    return clip(text, FALLBACK_MAX), fit(blocks)


def _assessment(card: AssessmentCard) -> tuple[str, list[Block]]:
    verdict = card.verdict
    if card.detailed:
        rows = [
            f"{board.reading_line(r, card.titles.get(r.probe, r.probe))}\n      `{esc(r.probe)}` for {esc(r.service or NO_SERVICE)}"
            for r in card.readings
        ]
        rows += [f"• {esc(name)}: `{clip(esc(value), 200)}`" for r in card.readings for name, value in _facts(r.facts)]
        return f"Details of the assessment of {card.incident}", [section(joined(rows))]
    counts = {s: sum(r.state == s for r in card.readings) for s in ("ok", "bad", "unknown")}
    summary = f"{counts['ok']} ok, {counts['bad']} bad, {counts['unknown']} unknown"
    if verdict.scenario is None:
        unread = ", but not everything could be read" if counts["unknown"] else ""
        likely = ("No service is hit by what is bad" if counts["bad"] else "Nothing is bad") + unread + "."
    else:
        likely = f"Most likely scenario: *{verdict.scenario}*\n" + joined(
            f"> {clip(esc(e), 200)}" for e in verdict.evidence
        )
    rows = [board.reading_line(r, card.titles.get(r.probe, r.probe)) for r in card.readings]
    blocks = [
        section(f":stethoscope: *Assessment*: {summary}\n{likely}"),
        section(joined(rows) or "_no probes in the estate file_"),
    ]
    if card.offers:
        number = card.incident.removeprefix("INC-")
        blocks.append(actions("offers", *recover_cards.offered(card.offers, number)))
        blocks.append(context(f"Risk: {recover_cards.risk_key(card.offers)}"))
    return f"Assessment of {card.incident}: {summary}", [*blocks, *practice_mark(card.practice)]


def _facts(facts: object) -> list[tuple[str, object]]:
    return [(k, v) for k, v in facts.items() if v not in (None, [], {})] if isinstance(facts, dict) else []


def _report(card: ReportCard) -> tuple[str, list[Block]]:
    """The report as Slack can show it; the exported file has the whole of it."""
    report, it = card.report, card.report.incident
    rows = [f"`{e.at:%H:%M:%S}` {clip(esc(e.text), 300)}" for e in report.entries]
    blocks = [
        header(f"Incident Report: {it.title}"),
        *practice_mark(report.practice),
        section(
            f"*Date:* {it.declared_at:%Y-%m-%d}\n*Duration:* {it.started_at:%H:%M} - "
            + (f"{it.resolved_at:%H:%M} UTC" if it.resolved_at else "open")
            + f" ({report.duration})\n*Severity:* {it.severity}\n*Impact:* {esc(', '.join(report.services) or 'to be filled in')}"
        ),
        divider(),
        section("*Timeline*\n" + joined(rows, 2900)),
        section(
            "*Recovery*\n" + (joined(f"• {esc(r)}" for r in report.recoveries) or "_nothing was seen to turn green_")
        ),
        section("*Root cause, users affected, data loss, action items, lessons learned:* _to be filled in by people_"),
        context(
            f"{len(report.entries)} entries, chain head `{report.head[:16]}…`. `/incident close` exports it as Markdown and JSON."
        ),
    ]
    return f"Incident report of {it.id}: {esc(it.title)}", blocks
