"""Ray: started on this machine for one command, or joined where a cluster runs."""

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.util import find_spec
from typing import Any

from compress.console.exits import Ended
from compress.console.installing import install_command
from compress.errors import UsageError

# On Linux Ray replaces 127.0.0.1 by the machine's address in its network, but no other loopback address.
LOOPBACK = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
_ANSWER_S = 5.0
"""How long the machine at a cluster's address may take to answer; Ray itself would try for ten minutes and more."""
_STARTS = 3


def require_fleet(what: str) -> None:
    """Check that the extra `fleet` is installed.

    Args:
        what: What needs it, as the user wrote it: a command or a flag.

    Raises:
        UsageError: If it is not, with how to install it.
    """
    if missing := [name for name in ("ray", "optuna", "fsspec") if find_spec(name) is None]:
        raise UsageError(f"{what} needs more packages ({', '.join(missing)}): {install_command('fleet')}.")


@contextmanager
def connected(*, workers: int | None, address: str | None) -> Iterator[Any]:
    """Connect to Ray: to a cluster's, or to one started on this machine for as long as this lasts.

    One started here talks over loopback, obeys only who has its token, writes nothing into the home folder and sends no
    usage statistics.

    Args:
        workers: Processes, each with one core, of a Ray started here; None for one a core. Not read for a cluster.
        address: `HOST:PORT` of a cluster's head node; None to start Ray here.

    Yields:
        The module `ray`, connected.

    Raises:
        UsageError: If the address is none, nothing answers there, or it refuses the connection.
    """
    if address is not None:
        _require_answer(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without a token in the environment a Ray started here would write one to ~/.ray.
    own_token = address is None and "RAY_AUTH_TOKEN" not in os.environ
    if own_token:
        os.environ["RAY_AUTH_TOKEN"] = _token()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    import ray

    try:
        with _messages_off_stdout():
            try:
                _start(ray, workers, address)
                # Ray replaces what this tool does when it is told to end.
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGTERM, on_sigterm)
                yield ray
            finally:
                ray.shutdown()
    except SystemError as error:
        # Ray's answer to an exception that a signal's handler raises while it waits.
        if isinstance(error.__cause__, Ended):
            raise error.__cause__ from None
        raise
    finally:
        if own_token:
            del os.environ["RAY_AUTH_TOKEN"]


@contextmanager
def _messages_off_stdout() -> Iterator[None]:
    """Send what Ray prints on stdout, such as that a node was lost, where other libraries' lines go: results lie there.

    A command shows its result once it has left Ray.
    """
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace") as lines, redirect_stdout(lines):
        yield


@cache
def _token() -> str:
    """Return this process's token, one for every Ray that it starts: Ray's client keeps the first that it is given."""
    return secrets.token_hex(32)


def _start(ray: Any, workers: int | None, address: str | None) -> None:
    """Connect to a cluster, or start Ray here; on a busy machine that may need more than the 30 s that Ray waits."""
    here = {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": LOOPBACK}
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address=address or "local",
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(here if address is None else {}),
            )
            return
        except ConnectionError as error:
            if address is None:
                raise
            raise UsageError(
                f"{address} answers, but lets nobody in ({error}). Where its Ray was started with "
                "RAY_AUTH_MODE=token, set that here too and have its token in ~/.ray/auth_token or RAY_AUTH_TOKEN; "
                "where something else listens there, give the port that `ray start` told."
            ) from error
        except Exception as error:
            # Ray has no class of its own for it.
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if not left:
                raise UsageError(
                    f"Ray did not start in {_STARTS} tries of 30 s; this machine is too busy. Try again when it is "
                    "less so, or give fewer workers."
                ) from error


def _require_answer(address: str) -> None:
    """Check that something listens at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(
            f"cluster = {address!r} is no HOST:PORT. Give the head node's address, as `ray start` told it."
        )
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise UsageError(
            f"nothing answers at cluster = {address!r} ({error}). Start a head node there with "
            f"`ray start --head --port {port}`, or leave the flag out to use this machine."
        ) from error
