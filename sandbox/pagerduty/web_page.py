"""What `html_url` leads to: a plain page of the incidents and of one incident's log."""

from html import escape

from aiohttp import web

from sandbox.pagerduty.account import Account
from sandbox.pagerduty.model import Incident, iso


def routes(account: Account) -> list[web.RouteDef]:
    """`/pagerduty` and `/pagerduty/incidents/<id>`, for the public port."""

    async def incidents(_request: web.Request) -> web.Response:
        rows = [_row(incident) for incident in reversed(account.incidents.values())]
        return _page("PagerDuty incidents", "<ul>" + "".join(rows) + "</ul>" if rows else "<p>None yet.</p>")

    async def incident(request: web.Request) -> web.Response:
        found = account.incidents.get(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        lines = [
            f"<li><time>{iso(entry.at)}</time> {escape(entry.type.removesuffix('_log_entry').replace('_', ' '))}"
            f" by {escape(entry.agent.name if entry.agent else 'PagerDuty')}{_to(entry.extra)}</li>"
            for entry in found.log
        ]
        called = ", ".join(escape(person.name) for _, person in found.assignees) or "nobody"
        return _page(
            f"[#{found.number}] {found.title}",
            f"<p>{found.status}, assigned to {called}</p><ol>{''.join(lines)}</ol>",
        )

    return [web.get("/pagerduty", incidents), web.get("/pagerduty/incidents/{id}", incident)]


def _row(incident: Incident) -> str:
    link = f"/pagerduty/incidents/{incident.id}"
    return f'<li><a href="{link}">[#{incident.number}] {escape(incident.title)}</a>: {incident.status}</li>'


def _to(extra: dict[str, object]) -> str:
    people = extra.get("assignees") or ([extra["user"]] if "user" in extra else [])
    names = [str(one["summary"]) for one in people if isinstance(one, dict)] if isinstance(people, list) else []
    return f": {escape(', '.join(names))}" if names else ""


def _page(title: str, body: str) -> web.Response:
    style = "body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    head = f"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><style>{style}</style>"
    text = f"{head}<title>{escape(title)}</title><h1>{escape(title)}</h1>{body}"
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})
