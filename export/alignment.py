"""Where faces lie in what a model was trained on, as its artifact or its file records it; lens and page follow it."""

from pathlib import Path

from compress.artifact import is_artifact, open_artifact
from compress.faces.template import AlignmentTemplate, read_template
from compress.teachers.packed import read_packed_config


def find_template(model: Path) -> AlignmentTemplate | None:
    """Return the template that a model was trained with: of its artifact, the artifact that its file lies in, or the
    manifest that is packed in it; None where none is recorded.

    Raises:
        UnusableArtifact: If what is recorded is no template.
    """
    for path in (model, model.parent):
        if is_artifact(path):
            return read_template(open_artifact(path).manifest.config, origin=path)
    return read_template(read_packed_config(model), origin=model)
