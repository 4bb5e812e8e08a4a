"""A model's card with what was measured of it: scores beside the untouched photos', speed with its machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifact import file_fingerprint, open_artifact
from compress.bench_record import BenchEntry, BenchRecord, read_bench
from compress.errors import UnusableData
from compress.files.apart import LAYOUT
from compress.images import list_images
from compress.model_card import CardFacts, escape, render_card
from compress.text_table import format_markdown
from eval.confidence import interval_of_mean
from eval.config import CardConfig
from eval.effect import RULE
from eval.report.cautions import FEW_IMAGES
from eval.score_file import read_scores
from eval.score_key import is_distance, is_kernel_distance

_PAIRED = {"psnr_db": ("PSNR to the teacher, dB", 2), "ssim": ("SSIM to the teacher", 3)}
_NOT_KNOWN = "-"


def write_card(config: CardConfig) -> str:
    """Return a model's card as Markdown.

    Raises:
        UnusableArtifact: If the model or the student is no whole artifact.
        UnusableData: If the scores or the benchmark cannot be read, or the benchmark has no such model.
    """
    model = open_artifact(config.model)
    record = read_scores(config.scores) if config.scores else None
    teacher = config.teacher
    return render_card(
        CardFacts(
            model=model,
            license=config.license,
            teacher=teacher.name if teacher else "",
            teacher_sha256=file_fingerprint(teacher) if teacher else "",
            trainings=[open_artifact(path).manifest for path in config.student],
            photos=_count_photos(config.data, record) if config.data else {},
            data=config.data.name if config.data else "",
            scores=_describe_scores(record) if record else (),
            speed=_describe_speed(read_bench(config.bench), config) if config.bench else (),
            unmeasured=_list_unmeasured(record, config),
        )
    )


def _count_photos(data: Path, record: Mapping[str, Any] | None) -> dict[str, int]:
    """Count the photos of each folder in CycleGAN's layout, or of a single one and those that were scored."""
    folders = [data / name for name in LAYOUT if (data / name).is_dir()]
    if folders:
        return {f"in {folder.name}": _count_images(folder) for folder in folders}
    tested = {"of them kept for the test": int(record["key"]["fake_images"])} if record else {}
    return {"photos": _count_images(data), **tested}


def _count_images(folder: Path) -> int:
    try:
        return len(list_images(folder))
    except UnusableData:
        # None is a count, too.
        return 0


def _describe_scores(record: Mapping[str, Any]) -> list[str]:
    key, control = record["key"], record.get("control") or {}
    rows = [("", "this model", "untouched photos (the control)")]
    for name in ("psnr_db", "ssim"):
        label, digits = _PAIRED[name]
        ours, theirs = (_format_paired(one.get("similarity") or {}, name, digits) for one in (record, control))
        if ours != _NOT_KNOWN:
            rows.append((label, ours, theirs))
    rows += [
        (escape(name), _format_distance(record, name), _format_distance(control, name))
        for name in record
        if is_distance(name)
    ]
    effect = record.get("effect")
    paragraphs = [f"It {escape(effect['text'])}." if effect else "", format_markdown(rows)]
    paragraphs.append(
        f"Over {key['fake_images']} test images against {key['real_images']} of the reference, in features of "
        f"{escape(key['network'])}; in brackets 95 % intervals over the choice of the test images."
    )
    if effect:
        paragraphs.append(RULE)
    if sister := record.get("sister"):
        paragraphs.append(
            f"The distances are in features of a sister of {escape(sister)}, which trained the student: flattering."
        )
    return [one for one in paragraphs if one]


def _format_paired(similarity: Mapping[str, Any], name: str, digits: int) -> str:
    summary = similarity.get(name)
    if not summary:
        return _NOT_KNOWN
    values = [one[name] for one in similarity.get("images", {}).values() if one.get(name) is not None]
    interval = interval_of_mean(values)
    ends = f" ({interval.low:.{digits}f} to {interval.high:.{digits}f})" if interval else ""
    return f"{summary['mean']:.{digits}f}{ends}"


def _format_distance(record: Mapping[str, Any], name: str) -> str:
    if name not in record:
        return _NOT_KNOWN
    digits = 4 if is_kernel_distance(name) else 1
    value = record[name]["mean"] if is_kernel_distance(name) else record[name]
    ends = record["intervals"][name]
    return f"{value:.{digits}f} ({ends['low']:.{digits}f} to {ends['high']:.{digits}f})"


def _describe_speed(bench: BenchRecord, config: CardConfig) -> list[str]:
    name = config.model.absolute().name
    entry = next((one for one in bench.entries if one.name == name), None)
    if entry is None:
        named = ", ".join(one.name for one in bench.entries)
        raise UnusableData(f"{config.bench} has no entry {name}; it timed {named}. Time {config.model}, too.")
    rows = [("", "size", "latency, median", "95th percentile", "faster")]
    rows += [_speed_row(one) for one in bench.entries if one is bench.entries[0] or one is entry]
    machine = ", ".join(str(bench.machine[part]) for part in ("cpu", "os") if bench.machine.get(part))
    threads, cores = bench.threads or entry.threads or 1, bench.machine.get("cores")
    runtime = f"LiteRT {escape(str(bench.machine.get('litert')))}"
    return [
        format_markdown(rows),
        f"On {threads} thread(s) of {escape(machine)}, {cores} core(s), {runtime}; {bench.runs} interleaved runs.",
    ]


def _speed_row(entry: BenchEntry) -> tuple[str, ...]:
    latency = entry.latency_ms or {}
    size = _NOT_KNOWN if entry.size_bytes is None else f"{entry.size_bytes / 1e3:,.1f} kB"
    times = (f"{latency[part]:.2f} ms" if part in latency else _NOT_KNOWN for part in ("median", "p95"))
    return (escape(entry.name), size, *times, "too noisy" if entry.withheld else f"{entry.speedup:.1f}x")


def _list_unmeasured(record: Mapping[str, Any] | None, config: CardConfig) -> list[str]:
    lines = ["How much its pictures flicker between frames was not measured here."]
    if record is not None and "control" not in record:
        lines.append("The untouched photos were not scored, so it is not known what doing nothing would get.")
    if record is not None and record["key"]["fake_images"] < FEW_IMAGES:
        lines.append(f"{record['key']['fake_images']} test images are few: see how wide the intervals are.")
    if config.bench is not None:
        lines.append("It was timed on a computer; on a phone it was not.")
    return lines
