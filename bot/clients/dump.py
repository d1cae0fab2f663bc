"""A plain-text dump on its way to psql: where its statements and its rows end, and what is not passed on as it is. Pure.

What comes out are pieces, each with what it is: text; a setting, which every session that loads must have; the COPY
statement of a table, its rows, and the last of them. `alone` rows may only come in one statement after all that was before;
those of a table that pg_dump made in this very dump bear no constraint, trigger or rule yet, so several sessions may load them.

- psql's own commands (`\\connect`, `\\!`) are refused: a backup is data, and may neither start programs here nor go on in
  another database. `\\restrict` and `\\unrestrict`, with which pg_dump guards against them, are left out.
- What sets owners, grants, comments on extensions or parameters may fail: our role may not be allowed to, a role or a
  parameter may not exist on this server, and no row depends on it. The server then says what it left out.
- All else passes unchanged. A dump that ends inside of a statement, or before pg_dump's last line, is refused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from enum import Enum, auto

from bot.errors import Refused


class Kind(Enum):
    """What a piece is."""

    TEXT = auto()
    SETTING = auto()
    COPY = auto()
    COPY_ALONE = auto()
    ROWS = auto()
    LAST_ROWS = auto()  # ends with the line that is only `\\.`


Piece = tuple[Kind, bytes | memoryview]

LEFT_OUT = "left out: "
"""How a warning of the server about a statement that it did not run begins."""

_LONGEST = 1 << 20  # bytes of a statement that is looked at as a whole
_WORD = 40  # bytes that surely hold what a statement begins with

_STOP = re.compile(rb"['\"$;\\]|--|/\*|[-/]\Z")
_SPACE = re.compile(rb"\s*")
_IN_BLOCK = re.compile(rb"/\*|\*/|[/*]\Z")
_TAG = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_TAG_BEGUN = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z")
_NAME_END = re.compile(rb"[A-Za-z0-9_$\x80-\xff]\Z")
_ESCAPES = re.compile(rb"(?:^|[^A-Za-z0-9_$\x80-\xff])[eE]\Z")
_COMMAND = re.compile(rb"\\(\S*)[^\n]*\n")

_WATCHED = re.compile(rb"(?:ALTER|GRANT|REVOKE|COMMENT|SET|COPY|SELECT\s+pg_catalog\.set_config)\b", re.IGNORECASE)
_COPY = re.compile(rb"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_SETTING = re.compile(rb"SET\b|SELECT\s+pg_catalog\.set_config\(", re.IGNORECASE)
_BEGIN = re.compile(rb"(?:BEGIN|START)\b", re.IGNORECASE)
_TABLE = re.compile(rb"-- Name: (.+); Type: TABLE; Schema: (.+); Owner: ")
_ROWS = re.compile(rb"-- Data for Name: (.+); Type: TABLE DATA; Schema: (.+); Owner: ")
_MAY_FAIL = re.compile(
    rb"(?:ALTER\b.*\bOWNER\s+TO\b|ALTER\s+DEFAULT\s+PRIVILEGES\b|GRANT\b|REVOKE\b|COMMENT\s+ON\s+(?:EXTENSION|SCHEMA)\b|SET\b)",
    re.IGNORECASE | re.DOTALL,
)


class Dump:
    """Bytes of the dump in, pieces for psql out. Raises Refused."""

    def __init__(self) -> None:
        self._rest = b""
        self._text = b""
        self._at = 0
        self._out: list[Piece] = []
        self._mode: Callable[[], bool] = self._between
        self._statement = bytearray()
        self._passing = False  # the statement began to go out already
        self._tag = b""
        self._tail = b""
        self._statements = 0
        self._by_pg_dump = self._complete = False
        self._made: set[tuple[bytes, bytes]] = set()
        self._filled: tuple[bytes, bytes] | None = None
        self._in_transaction = False
        self._dollars = f"$kept_{secrets.token_hex(8)}".encode()

    def feed(self, data: bytes) -> Sequence[Piece]:
        """What may go out now."""
        self._text = self._rest + data if self._rest else data
        self._at, self._out = 0, []
        while self._at < len(self._text) and self._mode():
            pass
        self._rest = self._text[self._at :]
        self._text = b""
        return self._out

    def finish(self) -> Sequence[Piece]:
        """What is left, when the dump is whole."""
        out = list(self.feed(b"\n"))
        if self._mode == self._copy:
            raise Refused("The backup ends in the middle of a table's rows.")
        if self._mode != self._between or self._rest:
            raise Refused("The backup ends in the middle of a statement.")
        if self._by_pg_dump and not self._complete:
            raise Refused("The backup ends before the line with which pg_dump says that it is complete.")
        if not self._statements:
            raise Refused("The backup holds no statement at all.")
        return out

    # Each mode takes what it can and says whether there may be more to take; False waits for more bytes.

    def _between(self) -> bool:
        """Before a statement: spaces and comments go out at once."""
        end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if end > self._at:
            self._send(self._text[self._at : end])
            self._at = end
            return True
        if self._text.startswith(b"\\", self._at):
            return self._command()
        if self._text.startswith((b"--", b"/*"), self._at):
            return self._comment(self._between)
        if len(self._text) - self._at == 1 and self._text[self._at] in b"-/":
            return False  # what comes next decides
        self._statements += 1
        self._mode = self._code
        return True

    def _command(self) -> bool:
        found = _COMMAND.match(self._text, self._at)
        if found is None and len(self._text) - self._at < _LONGEST:
            return False
        name = found[1].decode(errors="replace")[:30] if found else ""
        if found is None or name not in ("restrict", "unrestrict"):
            raise Refused(f"The backup holds the psql command \\{name}, and is not run for that reason.")
        self._at = found.end()
        return True

    def _code(self) -> bool:
        found = _STOP.search(self._text, self._at)
        if found is None:
            self._keep(len(self._text))
            return False
        self._keep(found.start())
        # The last byte may begin a comment: what comes next decides.
        return found[0] not in (b"-", b"/") and self._special(found[0])

    def _special(self, what: bytes) -> bool:
        if what == b";":
            self._end_statement()
        elif what == b"'":
            self._mode = self._escaped if _ESCAPES.search(self._last()) else self._quoted
            self._keep(self._at + 1)
        elif what == b'"':
            self._mode = self._identifier
            self._keep(self._at + 1)
        elif what == b"\\":
            return self._command()
        elif what == b"$":
            return self._dollar()
        else:
            return self._comment(self._code)
        return True

    def _end_statement(self) -> None:
        self._at += 1
        statement = bytes(self._statement)
        self._statement.clear()
        self._mode = self._between
        if self._passing:
            self._passing = False
            self._send(statement + b";")
        elif _COPY.match(statement):
            apart = self._by_pg_dump and not self._in_transaction and self._filled in self._made
            self._send(statement + b";", Kind.COPY if apart else Kind.COPY_ALONE)
            self._filled = None
            self._tail = b""
            self._mode = self._copy
        else:
            self._in_transaction |= bool(_BEGIN.match(statement))
            kind = Kind.SETTING if _SETTING.match(statement) else Kind.TEXT
            self._send(self._lenient(statement) if _MAY_FAIL.match(statement) else statement + b";", kind)

    def _lenient(self, statement: bytes) -> bytes:
        outer, inner, shown = (self._dollars + end + b"$" for end in (b"o", b"i", b"s"))
        words = b" ".join(statement.split())[:120].decode(errors="ignore").encode()
        return b"".join((
            b"DO ", outer, b"BEGIN EXECUTE ", inner, statement, inner,
            b"; EXCEPTION WHEN insufficient_privilege OR undefined_object THEN RAISE WARNING '", LEFT_OUT.encode(), b"%: %', ",
            shown, words, shown, b", SQLERRM; END", outer, b";",
        ))  # fmt: skip

    def _copy(self) -> bool:
        """Rows, until a line that is only `\\.`; each piece may be large, so it is looked through, not copied."""
        seam = self._tail + self._text[self._at : self._at + 3]
        start = seam.find(_ROWS_END)
        if start >= 0:
            end = self._at + start + len(_ROWS_END) - len(self._tail)
        else:
            start = self._text.find(_ROWS_END, self._at)
            end = start + len(_ROWS_END) if start >= 0 else len(self._text)
        self._out.append((Kind.ROWS if start < 0 else Kind.LAST_ROWS, memoryview(self._text)[self._at : end]))
        self._tail = (self._tail + self._text[max(self._at, end - 3) : end])[-3:]
        self._at = end
        if start < 0:
            return False
        self._mode = self._between
        return True

    def _quoted(self) -> bool:
        return self._until(b"'")

    def _identifier(self) -> bool:
        return self._until(b'"')

    def _escaped(self) -> bool:
        """An E'…' string, in which a backslash takes the next character with it."""
        at = self._at
        while True:
            quote, slash = self._text.find(b"'", at), self._text.find(b"\\", at)
            if slash < 0 or 0 <= quote < slash:
                return self._until(b"'", at)
            if slash + 1 >= len(self._text):
                self._keep(slash)
                return False
            at = slash + 2

    def _dollar(self) -> bool:
        if _NAME_END.search(self._last()):
            self._keep(self._at + 1)
            return True
        found = _TAG.match(self._text, self._at)
        if found is not None:
            self._tag, self._mode = found[0], self._dollars_quoted
            self._keep(found.end())
            return True
        if _TAG_BEGUN.match(self._text, self._at):
            return False
        self._keep(self._at + 1)
        return True

    def _dollars_quoted(self) -> bool:
        return self._until(self._tag)

    def _until(self, mark: bytes, after: int | None = None) -> bool:
        """On to the mark, and back to the code behind it."""
        found = self._text.find(mark, self._at if after is None else after)
        if found < 0:
            # The last bytes may be the beginning of the mark.
            self._keep(max(self._at, len(self._text) - len(mark) + 1))
            return False
        self._keep(found + len(mark))
        self._mode = self._code
        return True

    def _comment(self, after: Callable[[], bool]) -> bool:
        """The whole of it when it is there, else wait."""
        line = self._text.startswith(b"--", self._at)
        end = self._text.find(b"\n", self._at) if line else self._block_end()
        if end < 0:
            if len(self._text) - self._at > _LONGEST:
                raise Refused("The backup holds a comment of more than a megabyte; it is no dump.")
            return False
        if after == self._between:
            self._look_at_comment(self._text[self._at : end])
            self._send(self._text[self._at : end])
            self._at = end
        else:
            self._keep(end)
        return True

    def _block_end(self) -> int:
        depth = 0
        for found in _IN_BLOCK.finditer(self._text, self._at):
            depth += {b"/*": 1, b"*/": -1}.get(found[0], 0)
            if depth == 0 and found[0] == b"*/":
                return found.end()
        return -1

    def _look_at_comment(self, comment: bytes) -> None:
        self._by_pg_dump |= comment.startswith((b"-- PostgreSQL database dump", b"-- PostgreSQL database cluster dump"))
        self._complete |= b" dump complete" in comment
        if table := _TABLE.match(comment):
            self._made.add((table[1], table[2]))
        elif rows := _ROWS.match(comment):
            self._filled = (rows[1], rows[2])

    def _last(self) -> bytes:
        """The bytes just before, for what a quote or a dollar means."""
        return bytes(self._statement[-2:])

    def _keep(self, end: int) -> None:
        """The text up to `end` belongs to the statement."""
        if end == self._at:
            return
        self._statement += memoryview(self._text)[self._at : end]
        self._at = end
        if self._passing or len(self._statement) > _LONGEST or self._of_no_interest():
            self._passing = True
            # The last two bytes stay for `_last`.
            self._send(bytes(self._statement[:-2]))
            del self._statement[:-2]

    def _of_no_interest(self) -> bool:
        return len(self._statement) > _WORD and not _WATCHED.match(self._statement)

    def _send(self, piece: bytes, kind: Kind = Kind.TEXT) -> None:
        self._out.append((kind, piece))


_ROWS_END = b"\n\\.\n"
