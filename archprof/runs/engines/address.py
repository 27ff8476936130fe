"""Where a cluster's scheduler is, and whether one answers there: asked before dask is, which would wait much longer."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

from ...base.errors import BadOption, Unreachable, one_line

#: Seconds in which a scheduler must answer when it is looked for.
ANSWER_S = 5.0

#: The first eight bytes that a scheduler sends are a number of frames; text of another protocol is a huge one.
MOST_FRAMES = 1000


def parsed(address: str) -> str | int:
    """'local:4' -> 4 processes on this machine; 'tcp://host:8786' -> itself. Raises BadOption for anything else."""
    if match := re.fullmatch(r"local:([1-9][0-9]{0,3})", address):
        return int(match[1])
    match = re.fullmatch(r"(?:tcp|tls|ws|wss|ucx)://[^\s/]+:([0-9]{1,5})/?", address)
    if match and address.isprintable() and 0 < int(match[1]) < 2**16:
        return address
    near = f" Did you mean 'tcp://{address}'?" if re.fullmatch(r"[\w.-]+:[0-9]+", address) else ""
    raise BadOption(
        f"cluster {address!a} is not an address.{near}", "Expected tcp://HOST:PORT, tls://HOST:PORT or local:N."
    )


def refuse_silent(address: str) -> None:
    """Raise Unreachable where nobody answers, or somebody who is no dask scheduler; tcp and tls alone are tried."""
    where = urlsplit(address)
    if where.scheme not in ("tcp", "tls"):
        return
    try:
        with socket.create_connection((where.hostname, where.port), ANSWER_S) as there:
            if where.scheme == "tls":  # who is there, dask finds out
                _shake_hands(there)
            elif int.from_bytes(_first(there, 8), "little") > MOST_FRAMES:
                raise unanswered(address, "what answers is no dask scheduler")
    except TimeoutError:
        raise unanswered(address, f"nothing came within {ANSWER_S:g} s") from None
    except OSError as error:
        raise unanswered(address, one_line(error, kind=False)) from None


def unanswered(address: str, why: str) -> Unreachable:
    """The error of a scheduler that cannot be reached."""
    return Unreachable(
        f"no dask scheduler answers at '{address}': {why}.",
        "Is it running (dask scheduler), and is the address reachable from here?",
    )


def _first(there: socket.socket, size: int) -> bytes:
    """So many bytes; TimeoutError where they do not come in time, ConnectionError where it ends before."""
    until, said = time.monotonic() + ANSWER_S, b""
    while len(said) < size:
        there.settimeout(max(0.01, until - time.monotonic()))
        more = there.recv(size - len(said))
        if not more:
            raise ConnectionError("the connection was closed at once")
        said += more
    return said


def _shake_hands(there: socket.socket) -> None:
    import ssl  # takes longer than the rest of this module

    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    anybody.wrap_socket(there).close()
