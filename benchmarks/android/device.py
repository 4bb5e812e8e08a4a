"""A phone at the other end of adb: commands that it runs, files that are pushed and fetched."""

import importlib.util
import logging
import secrets
import shlex
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compress.console.installing import install_command
from compress.errors import UnusableDevice, UsageError

if TYPE_CHECKING:
    from adbutils import AdbDevice

_READY = "device"
_NOT_READY = {
    "unauthorized": "it has not allowed this machine: unlock it and confirm the question about USB debugging",
    "offline": "it does not answer: unplug and plug it in again, or restart it",
    # adbutils cuts "no permissions (missing udev rules? …)" at the blank.
    "no": "this user may not open its USB port: see https://developer.android.com/studio/run/device on udev rules",
}
_FOLDER = "/data/local/tmp"
_TIME_LIMIT_S = 900
"""Time limit of one command. benchmark_model itself stops after 150 s of warming up and 150 s of measuring."""
_log = logging.getLogger(__name__)


def require_adbutils() -> None:
    """Check that adbutils is installed, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("adbutils") is None:
        raise UsageError(f"timing on phones needs adbutils: {install_command('android')}.")


class Phone:
    """One phone that is ready.

    Every method raises `UnusableDevice` if it stops answering.
    """

    def __init__(self, device: "AdbDevice", name: str) -> None:
        self._device, self.name = device, name

    def shell(self, *command: str) -> tuple[int, str]:
        """Run a command.

        Returns:
            Its exit code, and what it printed, errors included.
        """
        with self._answering():
            ended = self._device.shell2(shlex.join(command), timeout=_TIME_LIMIT_S)
        # Android 6 and earlier end lines as a terminal does.
        return ended.returncode, ended.output.replace("\r\n", "\n")

    def read(self, *command: str) -> str:
        """Run a command that only asks, and return its output; empty where the phone does not know it."""
        code, text = self.shell(*command)
        return text if code == 0 else ""

    def push(self, content: bytes, target: str, *, mode: int = 0o644) -> None:
        """Write a file on the phone.

        Raises:
            UnusableDevice: If it does not fit.
        """
        try:
            self._device.sync.push(content, target, mode, check=True)
        except _connection_errors() as error:
            # adbutils keeps of a refusal only that it was one, so the room is asked for.
            free = self._free_bytes()
            if free is not None and free < len(content):
                raise UnusableDevice(
                    f"{self.name} has {free / 1e6:.1f} MB left in {_FOLDER}, but {target.rpartition('/')[2]} takes "
                    f"{len(content) / 1e6:.1f} MB. Make room on it."
                ) from error
            raise UnusableDevice(f"{self.name} did not take {target} ({error}). Is it still connected?") from error

    def fetch(self, source: str) -> bytes | None:
        """Read a file of the phone; None if it does not exist."""
        code, _ = self.shell("test", "-f", source)
        if code != 0:
            return None
        with self._answering():
            return self._device.sync.read_bytes(source)

    @contextmanager
    def scratch_folder(self) -> Iterator[str]:
        """Yield a folder on the phone that is removed afterwards, whatever happens."""
        folder = f"{_FOLDER}/pocketgan-{secrets.token_hex(4)}"
        code, text = self.shell("mkdir", folder)
        if code != 0:
            raise UnusableDevice(f"{self.name} does not let {folder} be made: {text.strip()}")
        try:
            yield folder
        finally:
            self._remove(folder)

    def _remove(self, folder: str) -> None:
        try:
            code, text = self.shell("rm", "-rf", folder)
        except UnusableDevice as error:
            code, text = 1, str(error)
        if code != 0:
            _log.warning("%s could not be removed from %s: %s", folder, self.name, text.strip())

    def _free_bytes(self) -> int | None:
        try:
            fields = self.read("df", "-k", _FOLDER).splitlines()[-1].split()
            return int(fields[3]) * 1024
        except (UnusableDevice, IndexError, ValueError):
            return None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except _connection_errors() as error:
            raise UnusableDevice(f"{self.name} stopped answering ({error}). Is it still connected?") from error


def find_phone(serial: str | None) -> Phone:
    """Find the phone to use.

    Args:
        serial: Its serial number, as `adb devices` lists it; the only phone when None.

    Raises:
        UsageError: If there are several and none was named, or none of that name.
        UnusableDevice: If there is none, or it is not ready.
    """
    from adbutils import AdbClient

    client = AdbClient()
    found = {info.serial: info for info in _list(client)}
    if not found:
        raise UnusableDevice(
            "no phone is connected. Plug one in with USB debugging on (Settings, Developer options), or use "
            "`adb connect HOST:PORT`; `adb devices` must list it."
        )
    if serial is None and len(found) > 1:
        named = ", ".join(_name(info) for info in found.values())
        raise UsageError(f"{len(found)} phones are connected: {named}. Choose one with --serial.")
    if serial is not None and serial not in found:
        raise UsageError(f"--serial {serial}: no such phone; connected are {', '.join(map(_name, found.values()))}.")
    info = found[serial] if serial is not None else next(iter(found.values()))
    if info.state != _READY:
        why = _NOT_READY.get(info.state, f"it is in the state {info.state!r}, expected {_READY!r}")
        raise UnusableDevice(f"{_name(info)} is not ready: {why}.")
    return Phone(client.device(info.serial), _name(info))


def _list(client: Any) -> list[Any]:
    try:
        return client.list(extended=True)
    # It tries to start a server where none is.
    except (*_connection_errors(), subprocess.SubprocessError) as error:
        raise UnusableDevice(
            f"no adb server answers at {client.host}:{client.port} ({error}). Install Android's platform tools and run "
            "`adb start-server`."
        ) from error


def _connection_errors() -> tuple[type[Exception], ...]:
    """Return the errors that adbutils raises where a connection breaks: it asserts and unpacks torn answers, too."""
    from adbutils import AdbError

    return (AdbError, OSError, EOFError, AssertionError, ValueError, struct.error)


def _name(info: Any) -> str:
    model = info.tags.get("model")
    return f"{info.serial} ({model.replace('_', ' ')})" if model else info.serial
