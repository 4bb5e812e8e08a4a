"""Tables of the comparison of quantisers, for people."""

from collections.abc import Mapping
from typing import Any

from benchmarks.host.table import format_conditions, format_delegation, format_measurement
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `compare_quantizers`: a row for each file, then photos, trainings and conditions."""
    columns = {"psnr_db": "PSNR to the student", "teacher_psnr_db": "to the teacher"}
    columns = {key: title for key, title in columns.items() if key in record["entries"][0]}
    head = ("file", "size", "latency (min - max)", "speed-up (range)")
    rows: list[tuple[str, ...]] = [(*head, *columns.values(), "delegated", "partitions")]
    for entry in record["entries"]:
        distances = (f"{entry[key]:.2f} dB" for key in columns)
        rows.append((*format_measurement(entry), *distances, *format_delegation(entry)))
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    photos = f"Ranges from {record['calibration_images']} photos, PSNR over {record['images']} others; {versions}"
    lines = [photos, *_float_operators(record), *_trainings(record), *format_conditions(record)]
    return "\n".join([*format_columns(rows), *lines])


def _float_operators(record: Mapping[str, Any]) -> list[str]:
    """Format the operators that compute in float, a line for each int8 file that has some."""
    return [
        f"float within {entry['name']}: {_counted(entry['float_operators'])}"
        for entry in record["entries"][1:]
        if entry["float_operators"]
    ]


def _trainings(record: Mapping[str, Any]) -> list[str]:
    trainings = record["trainings"]
    if trainings is None:
        return []
    config = trainings["config"]
    return [
        f"trained by {config['steps']} steps of {config['batch_size']} of {trainings['training_photos']} photos, "
        f"learning rate {config['learning_rate']:g}",
        *(
            f"{row}: a copy in tf_keras, within {facts['copy_difference']:.1e} of the student in float; "
            f"annotated by hand: {_counted(facts['annotated_by_hand'])}; {facts['step_s']:.2f} s a step"
            for row, facts in trainings["tfmot"].items()
        ),
    ]


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in numbers.items()) or "nothing"
