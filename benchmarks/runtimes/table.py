"""Tables of the comparison, for people: text for the terminal, Markdown for the folder."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from compress.text_table import format_columns, format_markdown

_TITLES = {"students": "Students", "teacher": "Teacher", "operators": "Single operators"}
_NEGLIGIBLE = 0.05
"""Steps that are shown as 0."""
_LONGEST_REASON = 160
Row = Mapping[str, Any]


def format_summary(record: Mapping[str, Any]) -> str:
    """Format a line for each runtime: its version, how many files it ran, and its worst int8 student."""
    head = ("runtime", "version", "files run", "int8 students, largest", "beyond a step", "took")
    rows: list[tuple[str, ...]] = [head]
    for runtime in record["runtimes"]:
        own = [row for row in record["rows"] if row["runtime"] == runtime["name"]]
        ran = [row for row in own if "error" not in row]
        worst = [row for row in ran if row["group"] == "students" and "psnr_db" in row]
        largest = f"{max(row['largest'] for row in worst):.3g} steps" if worst else "-"
        share = f"{max(row['share_beyond_one'] for row in worst):.1%}" if worst else "-"
        count = f"{len(ran)} of {len(own)}" if own else "left out"
        rows.append((runtime["name"], runtime["version"] or "-", count, largest, share, f"{runtime['took_s']:.0f} s"))
    return "\n".join([*format_columns(rows), *_unavailable(record)])


def format_tables(record: Mapping[str, Any]) -> str:
    """Format a record of `compare_runtimes` as Markdown."""
    machine = record["machine"]
    parts = [
        "# Files on runtimes",
        f"{machine['cpu']} ({machine['cores']} cores), {machine['os']}.",
        format_markdown(_versions(record)),
        "A cell is the largest difference to what the file's numbers mean, in steps of its output, and the share of "
        "values beyond one step. 0: under a twentieth of a step. The worst of all models is shown.",
    ]
    for group, title in _TITLES.items():
        rows = [row for row in record["rows"] if row["group"] == group]
        if rows:
            key = _subject_and_form if group == "operators" else _form
            parts += [f"## {title}", *_pivot(rows, key, _show_steps)]
    near = [row for row in record["rows"] if "psnr_db" in row and row["form"] == "int8, float ends"]
    if near:
        text = "PSNR of int8 files with float ends to the float model, in dB: a picture that differs may be as near."
        parts += ["## As near to the float model", text, *_pivot(near, _subject, _show_psnr)]
    parts += ["## Of int8 files left to slower kernels, or to float", *_left(record["rows"])]
    parts += ["## Refused", *_refused(record["rows"]), *_unavailable(record)]
    return "\n\n".join(parts) + "\n"


def _versions(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [("runtime", "version", "took", "of itself")]
    for one in record["runtimes"]:
        told = ", ".join(str(one[key]) for key in ("user_agent", "gpu") if one.get(key))
        simd = {True: "relaxed SIMD", False: "no relaxed SIMD", None: ""}[one.get("relaxed_simd")]
        rows.append(
            (one["name"], one["version"] or "-", f"{one['took_s']:.0f} s", "; ".join(filter(None, (told, simd))))
        )
    return rows


def _form(row: Row) -> str:
    return row["form"]


def _subject(row: Row) -> str:
    return row["subject"]


def _subject_and_form(row: Row) -> str:
    return f"{row['subject']}, {row['form']}"


def _pivot(rows: Sequence[Row], key: Callable[[Row], str], show: Callable[[Sequence[Row]], str]) -> list[str]:
    """Return a table of runtimes over `key`, where runtimes that agree in every cell share a column, its legend before
    it, and behind it the rows in which all of them are equal.
    """
    names, keys = _in_order(row["runtime"] for row in rows), _in_order(map(key, rows))
    cells = {
        name: tuple(show([row for row in rows if row["runtime"] == name and key(row) == one]) for one in keys)
        for name in names
    }
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        alike.setdefault(cells[name], []).append(name)
    letters = ascii_uppercase[: len(alike)]
    legend = "; ".join(
        f"**{letter}** {' = '.join(group)}" for letter, group in zip(letters, alike.values(), strict=True)
    )
    lines = [(one, *column) for one, column in zip(keys, zip(*alike, strict=True), strict=True)]
    equal = [one for one, *column in lines if {"0"} <= set(column) <= {"0", "", "refused"}]
    told = [f"Equal wherever it runs: {'; '.join(equal)}."] if equal else []
    table = format_markdown([("", *letters), *(line for line in lines if line[0] not in equal)])
    return [f"{legend}.", table, *told]


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _show_steps(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    ran = [row for row in rows if "error" not in row]
    if not ran:
        return "refused"
    largest, share = (max(row[name] for row in ran) for name in ("largest", "share_beyond_one"))
    steps = "0" if largest < _NEGLIGIBLE else f"{largest:.2g}" if largest < 1 else f"{largest:.0f}"
    partly = f", {len(rows) - len(ran)} refused" if len(ran) < len(rows) else ""
    return steps + (f" ({share:.1%})" if share else "") + partly


def _show_psnr(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    row = rows[0]
    return "refused" if "error" in row else f"{row['psnr_db']:.1f} (integers {row['expected_psnr_db']:.1f})"


def _left(rows: Sequence[Row]) -> list[str]:
    """Return a line for each runtime and group of int8 files that left something."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        if row["is_int8"] and row.get("left"):
            found.setdefault((row["runtime"], row["group"]), Counter()).update(row["left"].keys())
    lines = [
        f"- {runtime}, {group}: {', '.join(f'{kind} ({count} files)' for kind, count in sorted(kinds.items()))}"
        for (runtime, group), kinds in found.items()
    ]
    return ["\n".join(lines) or "Nothing."]


def _refused(rows: Sequence[Row]) -> list[str]:
    counts = Counter((row["runtime"], row["error"][:_LONGEST_REASON]) for row in rows if "error" in row)
    lines = [f"- {runtime}: {count} files: {reason}" for (runtime, reason), count in counts.items()]
    return ["\n".join(lines) or "Nothing."]


def _unavailable(record: Mapping[str, Any]) -> list[str]:
    return [f"{one['name']} is left out: {one['unavailable']}." for one in record["runtimes"] if one["unavailable"]]
