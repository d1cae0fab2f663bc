"""views.*"""

from .. import screens, shapes
from ..errors import SlackError
from ..method import method
from ..model import Json, View
from ..workspace import Workspace


def open_(ws: Workspace, args: Json) -> Json:
    content = screens.body(ws, args["view"], "modal")
    trigger = ws.tickets.redeem(args["trigger_id"])
    return {"view": shapes.view(ws, screens.open_modal(ws, trigger.user, content))}


def push(ws: Workspace, args: Json) -> Json:
    content = screens.body(ws, args["view"], "modal")
    trigger = ws.tickets.redeem(args["trigger_id"])
    return {"view": shapes.view(ws, screens.push_modal(ws, trigger.user, content))}


def _find(ws: Workspace, args: Json) -> View:
    if not args.get("view_id") and not args.get("external_id"):
        raise SlackError("invalid_arguments")
    view = ws.views.get(args.get("view_id") or ws.external_views.get(args["external_id"], ""))
    if view is None:
        raise SlackError("not_found")
    return view


def update(ws: Workspace, args: Json) -> Json:
    view = _find(ws, args)
    content = screens.body(ws, args["view"], view.type)
    return {"view": shapes.view(ws, screens.change(ws, view, content, args.get("hash")))}


def publish(ws: Workspace, args: Json) -> Json:
    if not ws.app.home_enabled:
        raise SlackError("not_enabled")
    user = ws.user(args["user_id"])
    content = screens.body(ws, args["view"], "home")
    return {"view": shapes.view(ws, screens.publish(ws, user.id, content, args.get("hash")))}


METHODS = (
    method("views.open", open_, "trigger_id! view!:json", "", 4),
    method("views.push", push, "trigger_id! view!:json", "", 4),
    method("views.update", update, "view_id external_id hash view!:json", "", 4),
    method("views.publish", publish, "user_id! hash view!:json", "", 4),
)
