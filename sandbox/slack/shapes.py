"""The JSON that the Web API and events show of things."""

from .model import Channel, File, Json, Message, User, UserGroup, View
from .workspace import Workspace


def message(ws: Workspace, m: Message, *, metadata: bool = False) -> Json:
    """A message as history and events carry it; `metadata` only when it was asked for."""
    shape: Json = {"type": "message", "ts": m.ts, "text": m.text, "team": ws.team_id}
    if m.subtype:
        shape["subtype"] = m.subtype
    if m.user:
        shape["user"] = m.user
    if m.bot_id:
        shape |= {"bot_id": m.bot_id, "app_id": ws.app_id, "bot_profile": bot_profile(ws)}
    if m.username:
        shape["username"] = m.username
    shape |= {name: value for name in ("blocks", "attachments") if (value := getattr(m, name))}
    if m.files:
        shape |= {"files": [file(ws, ws.files[id_]) for id_ in m.files if id_ in ws.files], "upload": True}
    if m.thread_ts:
        shape["thread_ts"] = m.thread_ts
    if m.replies:
        shape |= _thread(m)
    if m.edited:
        shape["edited"] = {"user": m.edited[0], "ts": m.edited[1]}
    if m.reactions:
        shape["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in m.reactions.items()]
    if metadata and m.metadata:
        shape["metadata"] = m.metadata
    return shape | m.extra


def _thread(m: Message) -> Json:
    return {
        "reply_count": len(m.replies),
        "reply_users_count": len(m.reply_users),
        "reply_users": list(m.reply_users),
        "latest_reply": m.replies[-1],
        "is_locked": False,
    }


def bot_profile(ws: Workspace) -> Json:
    return {"id": ws.bot_id, "app_id": ws.app_id, "name": ws.app.name, "deleted": False, "team_id": ws.team_id}


def channel(ws: Workspace, c: Channel) -> Json:
    """A conversation as the bot sees it."""
    if c.is_im:
        other = c.other(ws.bot_user)
        return {"id": c.id, "created": c.created, "is_im": True, "user": other, "is_archived": False, "is_open": True}
    shape: Json = {
        "id": c.id,
        "name": c.name,
        "name_normalized": c.name,
        "created": c.created,
        "creator": c.creator,
        "is_channel": not c.is_private,
        "is_group": c.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": c.is_private,
        "is_archived": c.archived,
        "is_general": c.id == "C0GENERAL",
        "is_member": ws.bot_user in c.members,
        "is_shared": False,
        "is_ext_shared": False,
        "is_org_shared": False,
        "context_team_id": ws.team_id,
        "topic": c.topic.shape(),
        "purpose": c.purpose.shape(),
        "previous_names": c.previous_names,
        "properties": {},
    }
    if c.canvas:
        shape["properties"]["canvas"] = {"file_id": c.canvas, "is_empty": False}
    return shape


def user(ws: Workspace, u: User) -> Json:
    """A user; the address only when the app may read addresses."""
    profile: Json = {
        "real_name": u.real_name,
        "display_name": u.name,
        "title": u.title,
        "real_name_normalized": u.real_name,
        "display_name_normalized": u.name,
        "team": ws.team_id,
    }
    if "users:read.email" in ws.app.scopes and u.email:
        profile["email"] = u.email
    if u.is_bot:
        profile |= {"bot_id": ws.bot_id, "api_app_id": ws.app_id}
    return {
        "id": u.id,
        "team_id": ws.team_id,
        "name": u.name,
        "deleted": u.deleted,
        "color": u.color,
        "real_name": u.real_name,
        "tz": "Europe/Amsterdam",
        "tz_label": "Central European Time",
        "tz_offset": 3600,
        "is_bot": u.is_bot,
        "is_app_user": False,
        "is_admin": u.id == "U0DEV",
        "is_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "updated": 0,
        "profile": profile,
    }


def usergroup(ws: Workspace, g: UserGroup, *, users: bool) -> Json:
    shape: Json = {
        "id": g.id,
        "team_id": ws.team_id,
        "is_usergroup": True,
        "name": g.name,
        "handle": g.handle,
        "description": "",
        "is_external": False,
        "date_delete": 0,
        "user_count": len(g.users),
    }
    return shape | ({"users": list(g.users)} if users else {})


def file(ws: Workspace, f: File) -> Json:
    url = file_url(ws, f)
    return {
        "id": f.id,
        "created": f.created,
        "timestamp": f.created,
        "name": f.name,
        "title": f.title or f.name,
        "mimetype": f.mimetype,
        "filetype": f.name.rpartition(".")[2].lower(),
        "user": f.user,
        "size": f.size,
        "mode": "hosted",
        "is_external": False,
        "url_private": url,
        "url_private_download": url,
        "permalink": url,
        "channels": list(f.channels),
    }


def file_url(ws: Workspace, f: File) -> str:
    return f"{ws.public_url}/files/{f.id}/{f.name}"


def view(ws: Workspace, v: View) -> Json:
    """A view as views.* answer it and interactions carry it."""
    body = v.body
    shape: Json = {
        "id": v.id,
        "team_id": ws.team_id,
        "app_id": ws.app_id,
        "app_installed_team_id": ws.team_id,
        "bot_id": ws.bot_id,
        "type": v.type,
        "blocks": v.blocks,
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "external_id": body.get("external_id", ""),
        "hash": v.hash,
        "state": {"values": v.values},
        "root_view_id": v.root,
        "previous_view_id": v.previous,
        "clear_on_close": bool(body.get("clear_on_close", False)),
        "notify_on_close": bool(body.get("notify_on_close", False)),
        "title": body.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
        "close": body.get("close"),
        "submit": body.get("submit"),
    }
    if v.type == "modal":
        shape["submit_disabled"] = bool(body.get("submit_disabled", False))
    return shape


def permalink(ws: Workspace, c: Channel, m: Message) -> str:
    link = f"{ws.public_url}/archives/{c.id}/p{m.ts.replace('.', '')}"
    return f"{link}?thread_ts={m.thread_ts}&cid={c.id}" if m.thread_ts and m.thread_ts != m.ts else link
