"""`compress sweep`: the trials of a SWEEP.toml on this machine or a cluster; a stopped sweep goes on."""

import secrets
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from compress.errors import PocketGANError, UsageError
from compress.files.apart import require_apart
from compress.files.atomic import replace_bytes, replace_text
from compress.files.ownership import is_empty
from compress.fleet.budget.check import Verdict
from compress.fleet.closing import close_sweep
from compress.fleet.cluster import connected, require_fleet
from compress.fleet.config import FleetConfig
from compress.fleet.report.live import LiveTable
from compress.fleet.report.page import write_page
from compress.fleet.sweep.attempt import MARKER
from compress.fleet.sweep.build import Builder
from compress.fleet.sweep.driver import Driver
from compress.fleet.sweep.engine import Engine, Place, require_room
from compress.fleet.sweep.spec import SweepSpec, read_spec
from compress.fleet.trial import SWEEP, Outcome, Trial, list_trials, write_table
from compress.run.recipe import Kinds


class NothingTrained(PocketGANError):
    """Raised where no trial of a sweep was trained to its end."""


def sweep(asked: Path, out: Path, fleet: FleetConfig, above: Kinds) -> dict[str, Any]:
    """Run the trials of a sweep that have not ended.

    Args:
        asked: The SWEEP.toml.
        out: The sweep's folder; made if missing, continued if not.
        fleet: How many trials at once here, or the cluster.
        above: Configuration classes of a recipe's [quantize] and [export].

    Returns:
        JSON-ready: how many trials ended how, the chosen, and where table and page are.

    Raises:
        UsageError: If the extra is missing, the file is wrong, `out` is no sweep's folder or would cost an input, or a
            node does not see it.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If photos are missing.
        ClusterLost: If Ray is gone.
        NothingTrained: If no trial was trained to its end.
        CommandFailed: If a chosen student cannot be scored.
    """
    require_fleet("compress sweep")
    spec = read_spec(asked, above)
    require_apart([out], [asked, spec.data, *([spec.teacher] if spec.teacher else [])])
    builder = Builder(spec, above)
    place = Place(sweep_dir=out, sweep_id=_open_folder(out), inputs=builder.inputs)
    replace_bytes(out / SWEEP, asked.read_bytes())
    with ExitStack() as held:

        def start(verdicts: dict[str, Verdict]) -> Engine:
            ray = held.enter_context(_connected(spec, fleet))
            require_room(ray, spec.resources, may_grow=fleet.cluster is not None)
            slots = int(ray.cluster_resources().get("CPU", 1)) // spec.resources.cpus
            total = max(spec.search.trials or 0, len(list_trials(out)))
            table = held.enter_context(LiveTable(out, total=total, slots=slots))
            return Engine(ray, place, spec.resources, verdicts, look=table.look)

        Driver(spec, builder, out, start).run()
    table, trials, page = write_table(out), list_trials(out), write_page(out)
    _require_trained(trials)
    chosen = close_sweep(out)
    return {"trials": len(trials), **_count(trials), "chosen": chosen, "table": str(table), "page": str(page)}


def _connected(spec: SweepSpec, fleet: FleetConfig) -> AbstractContextManager[Any]:
    cores = None if fleet.workers is None else fleet.workers * spec.resources.cpus
    return connected(workers=cores, address=fleet.cluster)


def _open_folder(out: Path) -> str:
    """Make a sweep's folder, or open the one that is there; return what its marker holds.

    Raises:
        UsageError: If something else lies there.
    """
    marker = out / MARKER
    if out.exists() and not marker.is_file() and not (out.is_dir() and is_empty(out)):
        raise UsageError(f"{out} holds something else than a sweep: it has no {MARKER}. Pass another --out.")
    if not marker.is_file():
        replace_text(marker, secrets.token_hex(16) + "\n")
    return marker.read_text(encoding="utf-8").strip()


def _require_trained(trials: list[tuple[Trial, Outcome | None]]) -> None:
    """Check that a trial was trained to its end.

    Raises:
        NothingTrained: With what became of the trials.
    """
    ended = [outcome for _, outcome in trials if outcome is not None]
    if any(outcome.status == "finished" for outcome in ended):
        return
    told = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in _count(trials).items())
    why = next((one.reason for one in ended if one.reason), None)
    raise NothingTrained(f"none of {len(trials)} trials was trained to its end ({told}). The first: {why}")


def _count(trials: list[tuple[Trial, Outcome | None]]) -> dict[str, int]:
    """Return how many trials ended how."""
    return dict(Counter(outcome.status for _, outcome in trials if outcome is not None))
