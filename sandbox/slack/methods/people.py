"""users.* and usergroups.*"""

from .. import paging, shapes
from ..errors import SlackError
from ..method import method
from ..model import Json, UserGroup
from ..workspace import Workspace


def info(ws: Workspace, args: Json) -> Json:
    return {"user": shapes.user(ws, ws.user(args["user"]))}


def list_(ws: Workspace, args: Json) -> Json:
    ids, more = paging.page(list(ws.users), args, 1000)
    members = [shapes.user(ws, ws.users[id_]) for id_ in ids]
    return {"members": members, "cache_ts": int(ws.clock()), "response_metadata": more}


def lookup_by_email(ws: Workspace, args: Json) -> Json:
    email = args["email"].lower()
    for user in ws.users.values():
        if user.email.lower() == email and not user.deleted:
            return {"user": shapes.user(ws, user)}
    raise SlackError("users_not_found")


def profile_get(ws: Workspace, args: Json) -> Json:
    return {"profile": shapes.user(ws, ws.user(args.get("user") or ws.bot_user))["profile"]}


def _group(ws: Workspace, group_id: str) -> UserGroup:
    if group := ws.usergroups.get(group_id):
        return group
    raise SlackError("no_such_subteam")


def group_users(ws: Workspace, args: Json) -> Json:
    return {"users": list(_group(ws, args["usergroup"]).users)}


def groups(ws: Workspace, args: Json) -> Json:
    users = args.get("include_users", False)
    return {"usergroups": [shapes.usergroup(ws, group, users=users) for group in ws.usergroups.values()]}


METHODS = (
    method("users.info", info, "user! include_locale:bool", "users:read", 4),
    method("users.list", list_, "limit:int cursor include_locale:bool", "users:read", 2),
    method("users.lookupByEmail", lookup_by_email, "email!", "users:read.email", 3),
    method("users.profile.get", profile_get, "user include_labels:bool", "users.profile:read", 4),
    method("usergroups.users.list", group_users, "usergroup! include_disabled:bool", "usergroups:read", 2),
    method(
        "usergroups.list", groups, "include_users:bool include_count:bool include_disabled:bool", "usergroups:read", 2
    ),
)
