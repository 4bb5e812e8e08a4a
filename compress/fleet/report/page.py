"""`sweep.html`: what a sweep found and what it cost, as one page that needs nothing else."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from compress.files.atomic import replace_text
from compress.fleet.choice import Candidate
from compress.fleet.report import tables
from compress.fleet.report.charts import Point, draw_latencies, draw_sizes
from compress.fleet.report.pictures import MOST_STUDENTS, PictureGroup, read_pictures
from compress.fleet.report.seeds import measure_seed_noise
from compress.fleet.report.sources import Sources, read_sources
from compress.fleet.report.wording import count_statuses, describe_settings, find_kid, format_hours
from compress.page.drawing import fit_name
from compress.page.html import encode_picture, read_style, render_chart, render_grid, render_table

PAGE = "sweep.html"
_FEWEST_POINTS = 2
_CHART_LEGEND = (
    "Line: the Pareto front, by the numbers of its trials, with one spread of KID to both sides. Ring: chosen. Hollow: "
    "stopped on its way, at the predicted size. Dashed: the teacher's images of the same photos."
)
_CHOICE = (
    "Chosen on held-back training photos alone. From the best student on, the Pareto front is taken in groups that lie "
    "within one spread of the group's best KID, which noise cannot tell apart; of each group the cheapest are chosen."
)
_SCORE = (
    "The test images were scored for the chosen students alone, once each. The more trials a student was chosen from, "
    "the better its KID on held-back photos looks by chance; on the test images nothing was chosen."
)


def write_page(sweep_dir: Path) -> Path:
    """Write the page of a sweep, whatever has ended of it, and return its path.

    Raises:
        UnusableArtifact: If the folder is no sweep's, or a record in it is torn.
    """
    replace_text(sweep_dir / PAGE, render_page(read_sources(sweep_dir)))
    return sweep_dir / PAGE


def render_page(sources: Sources) -> str:
    """Render a sweep as a whole HTML document; images are in it, nothing is fetched, and no script may run."""
    template = resources.files("compress.fleet.report").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=escape(f"Sweep of {sources.recipe}: {', '.join(sources.columns.values()) or 'nothing varied'}"),
        style=read_style(),
        headline=_render_headline(sources),
        chosen=_render_chosen(sources),
        charts=_render_charts(sources),
        pictures=_render_pictures(sources),
        trials=_render_trials(sources),
        failures=_render_failures(sources),
        effort=_render_effort(sources),
        method=_render_method(sources),
    )


def _render_headline(sources: Sources) -> str:
    """Render the few numbers that sum a sweep up."""
    ended = sources.ended
    told = count_statuses([outcome for _, outcome in ended])
    left = len(sources.trials) - len(ended)
    facts = [(str(len(sources.trials)), f"trials: {told}{f', {left} not ended' if left else ''}")]
    if sources.chosen:
        best = min(sources.finished, key=lambda one: one.kid)
        facts.append((str(len(sources.chosen)), "chosen on held-back photos"))
        facts.append((f"{best.kid:.4f}", f"best KID held back, ± {best.spread:.4f}"))
    work = sum(outcome.seconds for _, outcome in ended)
    facts.append((format_hours(work * sources.cores), "core-hours"))
    if sources.gpus:
        facts.append((format_hours(work * sources.gpus), "accelerator-hours"))
    items = "".join(f"<li><strong>{escape(value)}</strong> {escape(what)}</li>" for value, what in facts)
    return f'<ul class="facts">{items}</ul>'


def _render_chosen(sources: Sources) -> str:
    if not sources.chosen:
        why = "no student is trained to its end with a KID of held-back photos"
        return f'<p class="verdict doubt"><strong>Nothing is chosen:</strong> {why}.</p>'
    headings, rows = tables.build_chosen(sources)
    links = "".join(_render_link(sources, one) for one in sources.chosen)
    scored = f"<p>{escape(_SCORE)}</p>" if any(one.trial.key in sources.scores for one in sources.chosen) else ""
    return f"<h2>Chosen</h2><p>{escape(_CHOICE)}</p>{render_table('Student', headings, rows)}{scored}<ul>{links}</ul>"


def _render_link(sources: Sources, chosen: Candidate) -> str:
    """Render where a chosen student's own report and run lie, and what it does beyond the untouched photos."""
    run = f"trials/{escape(chosen.trial.key)}/run"
    score = sources.scores.get(chosen.trial.key)
    report = f'<a href="{run}/report.html">report</a>, ' if score else ""
    effect = f"; it {escape(score.effect)}" if score and score.effect else ""
    return f"<li>{escape(tables.name_trial(chosen.trial.number))}: {report}run in {run}{effect}</li>"


def _render_charts(sources: Sources) -> str:
    sizes = [
        Point(
            name=_name_point(sources, number),
            number=number,
            cost=outcome.size_bytes,
            kid=measured[1],
            spread=measured[2],
            is_finished=outcome.status == "finished",
        )
        for number, outcome in ((trial.number, outcome) for trial, outcome in sources.ended)
        if (measured := find_kid(outcome)) and outcome.size_bytes
    ]
    charts = []
    front, chosen = (
        {_name_point(sources, one.trial.number) for one in some} for some in (sources.front, sources.chosen)
    )
    if len(sizes) >= _FEWEST_POINTS:
        charts.append(draw_sizes(sizes, front=front, chosen=chosen, teacher=sources.teacher_kid))
    timed = _list_timed(sources)
    if len(timed) >= _FEWEST_POINTS:
        front = _find_timed_front(timed)
        charts.append(draw_latencies(timed, front=front, chosen=chosen, teacher=sources.teacher_kid))
    if not charts:
        return ""
    legend = f"<p>{escape(_CHART_LEGEND)}</p>"
    return f"<h2>Cost against quality</h2>{render_grid(map(render_chart, charts))}{legend}"


def _list_timed(sources: Sources) -> list[Point]:
    """List the finished students whose latency is known and to be relied on."""
    found = []
    for one in sources.finished:
        entry = sources.latencies.get(one.trial.key)
        if entry and entry.latency_ms and not entry.withheld:
            name, cost = _name_point(sources, one.trial.number), entry.latency_ms["median"]
            number = one.trial.number
            found.append(Point(name=name, number=number, cost=cost, kid=one.kid, spread=one.spread, is_finished=True))
    return found


def _find_timed_front(timed: Sequence[Point]) -> set[str]:
    """Return the names of the points that no faster one is as good as."""
    front, best = set(), float("inf")
    for point in sorted(timed, key=lambda point: (point.cost, point.kid)):
        if point.kid < best:
            front.add(point.name)
            best = point.kid
    return front


def _name_point(sources: Sources, number: int) -> str:
    trial = next(trial for trial, _ in sources.trials if trial.number == number)
    return fit_name(f"{number}: {describe_settings(trial, sources.columns)}")


def _render_pictures(sources: Sources) -> str:
    """Render what students make of the same photos: the chosen first, then the others by their KID."""
    keys = {one.trial.key for one in sources.chosen}
    others = sorted((one for one in sources.finished if one.trial.key not in keys), key=lambda one: one.kid)
    ordered = [*sources.chosen, *others]
    groups = read_pictures(sources.sweep_dir, ordered[:MOST_STUDENTS])
    if not groups:
        return ""
    notes = ["Each student before it is quantised, on training photos that were held back."]
    if len(groups) > 1:
        notes.append("Students of another seed hold other photos back, and stand apart.")
    if len(ordered) > MOST_STUDENTS:
        notes.append(f"The best {MOST_STUDENTS} of {len(ordered)}.")
    rows = "".join(_render_group(sources, group, keys) for group in groups)
    return f"<h2>The same photos</h2><p>{escape(' '.join(notes))}</p>{rows}"


def _render_group(sources: Sources, group: PictureGroup, chosen: set[str]) -> str:
    rows = []
    for place, (photo, teacher) in enumerate(zip(group.photos, group.teacher, strict=True)):
        figures = [("photo", encode_picture(photo), False), ("teacher", encode_picture(teacher), False)]
        for student, pictures in group.students:
            name = f"{student.trial.number}: {describe_settings(student.trial, sources.columns)}"
            figures.append((name, encode_picture(pictures[place]), student.trial.key in chosen))
        strip = "".join(_render_figure(*figure) for figure in figures)
        rows.append(f'<h3>photo {place + 1}</h3><div class="strip">{strip}</div>')
    return "".join(rows)


def _render_figure(name: str, uri: str, is_chosen: bool) -> str:
    mark = ' class="chosen"' if is_chosen else ""
    shown = f"{escape(name)}{' (chosen)' if is_chosen else ''}"
    return f'<figure{mark}><img src="{uri}" alt="{escape(name)}"><figcaption>{shown}</figcaption></figure>'


def _render_trials(sources: Sources) -> str:
    headings, rows = tables.build_trials(sources)
    table = render_table("Trial", headings, rows)
    return f"<h2>All trials</h2>{table}{_render_seed_noise(sources)}"


def _render_seed_noise(sources: Sources) -> str:
    """Render how much chance there is in a training, where trials differ in nothing but their seeds."""
    if (noise := measure_seed_noise(sources.finished)) is None:
        return ""
    told = (
        f"Trials that differ in nothing but their seeds: KID held back ± {noise.deviation:.4f} (standard deviation, "
        f"{noise.trials} trials of {noise.groups} settings). Which photos are held back hangs on the seed, too."
    )
    return f"<p>{escape(told)}</p>"


def _render_failures(sources: Sources) -> str:
    """Render why trials were not trained, or not to their end; those of one reason together."""
    told = [(trial, outcome) for trial, outcome in sources.ended if outcome.status != "finished"]
    if not told:
        return ""
    headings, rows = tables.build_failures(sources, told)
    return f'<h2>Not trained to the end</h2><div class="wide">{render_table("Trial", headings, rows)}</div>'


def _render_effort(sources: Sources) -> str:
    headings, rows = tables.build_effort(sources)
    return f"<h2>What was tried, and what it cost</h2>{render_table('Trials', headings, rows)}"


def _render_method(sources: Sources) -> str:
    lines = _describe_latencies(sources)
    notes = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f"<h2>What was asked for</h2>{notes}<pre>{escape(sources.text)}</pre>"


def _describe_latencies(sources: Sources) -> Iterable[str]:
    """Say how latencies were measured, and which are not shown."""
    withheld = {entry.withheld for entry in sources.latencies.values() if entry.withheld}
    if sources.latencies:
        yield "Latency: the finished students' files and their teacher's, in turns in one run, after all training."
    for why in sorted(withheld):
        yield f"Some latencies are not shown: {why}."
