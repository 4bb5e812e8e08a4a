"""Mutations of model files: bytes anywhere, and values where a format keeps its numbers, with the checksums made right.

All of them are drawn from a seeded generator when they are needed; no mutant is kept.
"""

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Mutation = Callable[[Path, random.Random], None]
"""Changes a file or folder in place."""

_VALUES = (
    0, 1, -1, 2, 3, 7, 255, 1 << 16, 1 << 31, 1 << 63, 1.5, -0.5, 1e-30, 1e30, float("nan"), float("inf"), None, True,
    "", "same", "valid", "\x1b[2J", "../..", [], [1], [1, 2], [0, 0], [[1, 1], [2, 2]], [-1, -1], [3, 3, 3], {},
    {"class_name": "Lambda", "config": {}},
)  # fmt: skip
_OPERATIONS = b"}](tsuaeRbQcqhrjKMJXGN.)0\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x81"
"""Operations of a pickle."""
_PICKLES_BYTES = 2000
"""Bytes with which a checkpoint of before PyTorch 1.6 begins: its pickles."""
_NUMBERS = (np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-45, 0.0, -1.0, 1e20)


def mutate_bytes(path: Path, draw: random.Random) -> None:
    """Flip, set, cut, repeat or remove bytes of a file, or of one file of a folder."""
    file = path if path.is_file() else draw.choice(sorted(member for member in path.rglob("*") if member.is_file()))
    content = bytearray(file.read_bytes())
    file.write_bytes(_changed(content, draw))


def _changed(content: bytearray, draw: random.Random) -> bytes:
    if not content:
        return bytes(draw.randbytes(8))
    place, length = draw.randrange(len(content)), draw.choice((1, 2, 4, 8, 64, 512))
    match draw.randrange(6):
        case 0:
            for _ in range(draw.choice((1, 1, 2, 5, 20))):
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        case 1:
            content[place : place + length] = draw.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * length
        case 2:
            del content[place:]
        case 3:
            content[place:place] = content[place : place + length]
        case 4:
            del content[place : place + length]
        case _:
            content[place : place + length] = draw.randbytes(length)
    return bytes(content)


def mutate_json_text(text: str, draw: random.Random) -> str:
    """Change one value of a JSON document, or remove or repeat one."""
    record = json.loads(text)
    places = list(_places(record))
    holder, key = draw.choice(places)
    match draw.randrange(5):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 2:
            other_holder, other_key = draw.choice(places)
            holder[key] = other_holder[other_key]
        case _:
            holder[key] = draw.choice(_VALUES)
    try:
        return json.dumps(record)
    except ValueError:
        # A value that was put into itself.
        return text


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in items:
        yield value, key
        yield from _places(held)


def mutate_manifest(path: Path, draw: random.Random) -> None:
    """Change a value of an artifact's manifest."""
    file = path / "manifest.json"
    file.write_text(mutate_json_text(file.read_text(encoding="utf-8"), draw), encoding="utf-8")


def mutate_h5_config(path: Path, draw: random.Random) -> None:
    """Change a value of a model's configuration in a `.h5`."""
    with h5py.File(path, "a") as opened:
        opened.attrs["model_config"] = mutate_json_text(str(opened.attrs["model_config"]), draw)


def mutate_h5_array(path: Path, draw: random.Random) -> None:
    """Change the numbers or the shape of one array in a `.h5`."""
    with h5py.File(path, "a") as opened:
        _change_array(opened, draw)


def mutate_keras_config(path: Path, draw: random.Random) -> None:
    """Change a value of the configuration of a `.keras`."""
    _change_member(path, "config.json", lambda content: mutate_json_text(content.decode(), draw).encode())


def mutate_keras_weights(path: Path, draw: random.Random) -> None:
    """Change bytes, or an array, of the weights of a `.keras`."""

    def change(content: bytes) -> bytes:
        if draw.random() < 0.5:
            return _changed(bytearray(content), draw)
        held = io.BytesIO(content)
        with h5py.File(held, "a") as opened:
            _change_array(opened, draw)
        return held.getvalue()

    _change_member(path, "model.weights.h5", change)


def mutate_zip_member(path: Path, draw: random.Random) -> None:
    """Change bytes of one member of a zip, whose checksum is made right."""
    with zipfile.ZipFile(path) as archive:
        name = draw.choice([member.filename for member in archive.infolist() if member.file_size])
    _change_member(path, name, lambda content: _changed(bytearray(content), draw))


def mutate_pickle(path: Path, draw: random.Random) -> None:
    """Exchange operations of a checkpoint's pickle, or change its bytes; in a zip its checksum is made right."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            name = next(member for member in archive.namelist() if member.endswith("data.pkl"))
        _change_member(path, name, lambda content: _changed_pickle(bytearray(content), draw))
    else:
        content = path.read_bytes()
        path.write_bytes(_changed_pickle(bytearray(content[:_PICKLES_BYTES]), draw) + content[_PICKLES_BYTES:])


def _changed_pickle(content: bytearray, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 2, 5))):
        place, other = draw.randrange(len(content)), draw.randrange(len(content))
        match draw.randrange(3):
            case 0:
                content[place] = draw.choice(_OPERATIONS)
            case 1:
                content[place], content[other] = content[other], content[place]
            case _:
                return _changed(content, draw)
    return bytes(content)


def _change_array(opened: h5py.File, draw: random.Random) -> None:
    found: list[h5py.Dataset] = []
    opened.visititems(lambda _, member: found.append(member) if isinstance(member, h5py.Dataset) else None)
    chosen = draw.choice(sorted((one for one in found if one.size), key=lambda one: str(one.name)))
    values, name, attributes = chosen[()], str(chosen.name), dict(chosen.attrs)
    match draw.randrange(4):
        case 0:
            values.reshape(-1)[draw.randrange(values.size)] = draw.choice(_NUMBERS)
        case 1:
            values = values * draw.choice((0, -1, 1e10, 1e30, 1e-30))
        case 2:
            values = np.repeat(values, 2, axis=0)
        case _:
            values = values.astype(draw.choice(("f2", "f8", "i4", "S3")))
    del opened[name]
    opened[name] = values
    opened[name].attrs.update(attributes)


def _change_member(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
