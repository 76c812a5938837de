"""Messages that are not on the server's disk, in a file of SQLite: what a process has left is sent by the next one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from os import PathLike
from typing import Protocol, Union

from .events import Kept

#: A message that is to be kept, or the id of one that need not be any more.
Change = Union[Kept, str]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS unsent (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    room TEXT NOT NULL,
    text TEXT NOT NULL,
    data TEXT,
    reply_to INTEGER,
    at INTEGER NOT NULL,
    user TEXT,
    failed TEXT
)
"""
_VERSION = 1


class OutboxError(Exception):
    """There is no outbox here: another process has it, it is another program's file, or it cannot be read."""


class Outbox(Protocol):
    """Where a client keeps messages. One client has it at a time; it is called from one thread at a time."""

    def left(self) -> list[Kept]:
        """What an earlier process has left, in its order."""
        ...

    def write(self, changes: Sequence[Change]) -> None:
        """Keeps and forgets, all or nothing; when it returns it is on the disk. What it raises is told as `outbox_failed`."""
        ...

    def close(self) -> None:
        """Another client may have it."""
        ...


class SqliteOutbox:
    """An outbox in a file. One process, and in it one client, has it at a time.

    Args:
        path: the file; it is made if there is none, its folder is not. Whoever can read it can read the messages.

    Raises:
        OutboxError: another has it, or it is none.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._lock = threading.Lock()
        self._path = path
        try:
            self._file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise OutboxError(f"{path}: {error}") from error
        try:
            # Taken with the first transaction, and kept until it is closed.
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute("BEGIN EXCLUSIVE")
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            (tables,) = self._file.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if version != _VERSION and (version, tables) != (0, 0):
                raise OutboxError(f"{path}: this is no outbox of version {_VERSION}")
            self._file.execute(_SCHEMA)
            self._file.execute(f"PRAGMA user_version = {_VERSION}")
            self._file.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._file.close()
            busy = "locked" in str(error)
            raise OutboxError(f"{path}: {'another process or client has it' if busy else error}") from error
        except sqlite3.Error as error:
            self._file.close()
            raise OutboxError(f"{path}: {error}") from error
        except OutboxError:
            self._file.close()
            raise

    def left(self) -> list[Kept]:
        """What an earlier process has left, in its order."""
        columns = "id, room, text, data, reply_to, at, user, failed"
        with self._lock:
            rows = self._file.execute(f"SELECT {columns} FROM unsent ORDER BY place").fetchall()
        return [Kept(*row) for row in rows]

    def write(self, changes: Sequence[Change]) -> None:
        """Keeps and forgets, all or nothing; when it returns it is on the disk.

        Raises:
            sqlite3.Error: the disk does not take it; nothing was changed.
        """
        with self._lock:
            self._file.execute("BEGIN")
            try:
                for change in changes:
                    if isinstance(change, str):
                        self._file.execute("DELETE FROM unsent WHERE id = ?", (change,))
                    else:
                        self._keep(change)
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    def _keep(self, kept: Kept) -> None:
        self._file.execute(
            "INSERT INTO unsent (id, room, text, data, reply_to, at, user, failed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET at = excluded.at, user = excluded.user, failed = excluded.failed",
            (kept.id, kept.room, kept.text, kept.data, kept.reply_to, kept.at, kept.user, kept.failed),
        )

    def close(self) -> None:
        """Another client may have it."""
        with self._lock:
            self._file.close()

    def __repr__(self) -> str:
        return f"SqliteOutbox({str(self._path)!r})"
