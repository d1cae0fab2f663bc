"""files.*: the upload in three steps."""

from .. import shapes, sharing
from ..blocks import check_blocks
from ..errors import SlackError, refused
from ..method import method
from ..model import Channel, File, Json
from ..text import fill_ids
from ..workspace import Workspace

ALT_TEXT, PLACES = 1000, 100
SNIPPET_BYTES = 1_000_000


def upload_url(ws: Workspace, args: Json) -> Json:
    if args["length"] < 1:
        raise refused("invalid_arguments", ["must be more than 0 [json-pointer:/length]"])
    if len(args.get("alt_txt", "")) > ALT_TEXT:
        raise SlackError("alt_txt_too_large")
    if args.get("snippet_type") and args["length"] > SNIPPET_BYTES:
        raise SlackError("snippet_too_large")
    file = sharing.new_file(ws, args["filename"], args["length"], ws.bot_user)
    return {"upload_url": f"{ws.public_url}/upload/{file.id}", "file_id": file.id}


def _uploaded(ws: Workspace, entry: object) -> File:
    file = ws.files.get(entry.get("id", "")) if isinstance(entry, dict) else None
    if file is None or file.content is None or file.completed:
        raise SlackError("file_not_found")
    return file


def _places(ws: Workspace, args: Json) -> list[Channel]:
    ids = args.get("channels") or ([args["channel_id"]] if args.get("channel_id") else [])
    if len(ids) > PLACES:
        raise SlackError("too_many_channels")
    places = []
    for id_ in ids:
        channel = ws.joined(id_)
        if channel.archived:
            raise SlackError("is_archived")
        places.append(channel)
    return places


def complete(ws: Workspace, args: Json) -> Json:
    """Shares the files, or leaves them private when no channel is named."""
    entries = args["files"]
    if not isinstance(entries, list) or not entries:
        raise refused("invalid_arguments", ["must be a non-empty array [json-pointer:/files]"])
    files = [_uploaded(ws, entry) for entry in entries]
    places = _places(ws, args)
    blocks = args.get("blocks") or []
    check_blocks(blocks)
    for file, entry in zip(files, entries, strict=True):
        file.title, file.completed = entry.get("title") or file.name, True
    for channel in places:
        said = args.get("initial_comment", "")
        sharing.share(ws, files, channel, ws.bot_user, said, args.get("thread_ts"), fill_ids(ws, blocks))
    return {"files": [shapes.file(ws, file) for file in files]}


def info(ws: Workspace, args: Json) -> Json:
    file = ws.files.get(args["file"])
    if file is None or not (file.completed or file.user == ws.bot_user):
        raise SlackError("file_not_found")
    shares: dict[str, Json] = {"public": {}, "private": {}}
    for channel_id, ts in file.shares.items():
        side = "public" if ws.channels[channel_id].kind == "channel" else "private"
        shares[side][channel_id] = [{"ts": ts, "channel_name": ws.channels[channel_id].name}]
    return {
        "file": shapes.file(ws, file) | {"shares": shares},
        "comments": [],
        "response_metadata": {"next_cursor": ""},
    }


def delete(ws: Workspace, args: Json) -> Json:
    file = ws.files.get(args["file"])
    if file is None:
        raise SlackError("file_not_found")
    if file.user != ws.bot_user:
        raise SlackError("cant_delete_file")
    del ws.files[file.id]
    return {}


METHODS = (
    method("files.getUploadURLExternal", upload_url, "filename! length!:int snippet_type alt_txt", "files:write", 4),
    method(
        "files.completeUploadExternal",
        complete,
        "files!:json channel_id channels:list thread_ts initial_comment blocks:json highlight_type",
        "files:write",
        4,
    ),
    method("files.info", info, "file! count:int page:int limit:int cursor", "files:read", 4),
    method("files.delete", delete, "file!", "files:write", 3),
)
