"""auth.test, apps.connections.open and other small ones."""

from ..arguments import takes
from ..errors import SlackError
from ..method import SPECIAL, Method, method
from ..model import Json
from ..workspace import Workspace


def auth_test(ws: Workspace, _: Json) -> Json:
    return {
        "url": f"https://{ws.team_domain}.slack.com/",
        "team": ws.team_name,
        "user": ws.users[ws.bot_user].name,
        "team_id": ws.team_id,
        "user_id": ws.bot_user,
        "bot_id": ws.bot_id,
        "is_enterprise_install": False,
    }


def connections_open(ws: Workspace, _: Json) -> Json:
    if ws.http is not None:
        raise SlackError("socket_mode_disabled")
    base = ws.public_url.replace("http", "ws", 1)
    return {"url": f"{base}/link?ticket={ws.sockets.ticket()}&app_id={ws.app_id}"}


def api_test(_: Workspace, args: Json) -> Json:
    if error := args.get("error"):
        raise SlackError(error)
    return {"args": args}


def team_info(ws: Workspace, _: Json) -> Json:
    url = f"https://{ws.team_domain}.slack.com/"
    return {"team": {"id": ws.team_id, "name": ws.team_name, "domain": ws.team_domain, "url": url}}


METHODS = (
    method("auth.test", auth_test, "", "", SPECIAL),
    Method("apps.connections.open", connections_open, (), (), 3, "app"),
    Method("api.test", api_test, takes("error foo"), (), 4, "none"),
    method("team.info", team_info, "", "team:read", 3),
)
