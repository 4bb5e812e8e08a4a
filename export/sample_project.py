"""Sample projects around an exported model: where they may be written, and how their templates are filled in."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from string import Template

from compress.artifact import Artifact, file_fingerprint
from compress.errors import UsageError
from compress.files.apart import require_apart
from compress.files.atomic import refuse_existing


def check_place(project: Path, artifact: Path, source: Path, *, flag: str, overwrite: bool) -> None:
    """Check that a project may be written to a folder.

    Args:
        project: The folder.
        artifact: The artifact that is written beside it.
        source: What is exported.
        flag: The flag that names the folder.
        overwrite: Whether it may exist.

    Raises:
        UsageError: If `project` exists and `overwrite` is false, if it holds `source`, or if one of `project` and
            `artifact` holds the other.
    """
    require_apart([project], [source])
    refuse_existing(project, overwrite=overwrite)
    ours, other = project.resolve(), artifact.resolve()
    if ours.is_relative_to(other) or other.is_relative_to(ours):
        raise UsageError(f"{project} and {artifact} lie in one another. Pass {flag} a folder beside --out.")


def fill_templates(sources: Path, out: Path, names: Mapping[str, object], *, filled: Collection[Path]) -> None:
    """Copy a project's files, filling names in where there are any.

    Args:
        sources: The folder of the files as they lie beside the code.
        out: The folder to write to; it exists.
        names: What stands for each `${name}`.
        filled: Relative paths of the files that have such names.
    """
    for source in sorted(path for path in sources.rglob("*") if path.is_file()):
        place = source.relative_to(sources)
        text = source.read_text(encoding="utf-8")
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(text).substitute(names) if place in filled else text, encoding="utf-8")


def name_model(exported: Artifact, literal: Callable[[str], str]) -> dict[str, object]:
    """Return what a project's templates say of any model.

    Args:
        exported: The artifact that the project is written around.
        literal: Writes a text as a literal of the project's language.
    """
    manifest = exported.manifest
    height, width, _ = manifest.input.shape
    return {
        "title": " ".join(manifest.name.split()),
        "name": literal(manifest.name),
        "precision": manifest.config["precision"],
        "sha256": file_fingerprint(exported.model_path),
        "size_bytes": manifest.cost.size_bytes,
        "size_kb": f"{manifest.cost.size_bytes / 1e3:.0f}",
        "height_px": height,
        "width_px": width,
    }


def quote(text: str, *, special: str, escape: Callable[[int], str]) -> str:
    """Write a text as a literal between double quotes.

    Args:
        text: Any text.
        special: Printable characters that a backslash makes ordinary, beside quotes and backslashes.
        escape: Writes the code point of what cannot be printed.
    """
    letters = (
        f"\\{letter}" if letter in f'\\"{special}' else letter if letter.isprintable() else escape(ord(letter))
        for letter in text
    )
    return '"' + "".join(letters) + '"'
