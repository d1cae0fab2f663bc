"""A finished upload becomes a message: for the app's own files and for people's."""

import mimetypes

from . import events, posting
from .model import Channel, File, Json, Message
from .workspace import Workspace


def new_file(ws: Workspace, name: str, size: int, by: str) -> File:
    """A place for an upload; its bytes are still to come."""
    kind = mimetypes.guess_type(name)[0] or ("text/plain" if name.endswith(".log") else "application/octet-stream")
    file = File(ws.new_id("F"), name, size, int(ws.clock()), by, mimetype=kind)
    ws.files[file.id] = file
    return file


def share(
    ws: Workspace,
    files: list[File],
    channel: Channel,
    by: str,
    said: str = "",
    thread_ts: str | None = None,
    blocks: list[Json] | None = None,
) -> Message:
    """Post the files as one message of subtype file_share."""
    m = posting.post(
        ws,
        channel,
        said,
        user=by,
        bot_id=ws.bot_id if by == ws.bot_user else None,
        subtype="file_share",
        files=[file.id for file in files],
        thread_ts=thread_ts,
        blocks=blocks or [],
    )
    for file in files:
        file.channels.append(channel.id)
        file.shares[channel.id] = m.ts
        event = {
            "type": "file_shared",
            "file_id": file.id,
            "file": {"id": file.id},
            "user_id": by,
            "channel_id": channel.id,
            "event_ts": m.ts,
        }
        events.emit(ws, event, channel)
    return m
