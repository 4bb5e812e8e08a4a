"""The commands whose crashes are tried."""

from harness import Case
from inputs import (
    DISTILL,
    KERAS,
    TEACH,
    TRAINING,
    cached,
    candidate,
    data,
    models,
    photos,
    recipe,
    replacing_folder,
    replacing_record,
    with_students,
)

_IMAGES = ("compress.images",)
_LITERT = (*_IMAGES, "ai_edge_litert.interpreter")
_OUT, _OVERWRITE = ("--out", "out"), ("--out", "out", "--overwrite")
_KEPT = ("out.training", "cache")
_PHOTOS = ("data", "photos", "data", "--image-size-px", "16")
_TRANSLATE = ("translate", "small_int8.tflite", "photos")
_NETWORK = ("--network", "efficientnet-lite0")
_SCORE = ("eval", "score", "--real", "photos", "--fake", "pictures", *_NETWORK, "--out", "scores.json")
_GATE = ("eval", "gate", "--data", "data", "--teacher", "teacher", "--candidate", "candidate", *_NETWORK)
_BENCH = ("bench", "host", "--baseline", "small_int8.tflite", "--candidate", "student_int8.tflite", "--runs", "1")
_REPORT = ("eval", "report", "--inputs", "photos", "--teacher", "pictures", "--column", "small=photos")
_STUDENT = ("--student", "student", "--teacher", "g.h5", "--data", "data", *TRAINING)

QUICK = (
    Case("data photos", data, (*_PHOTOS, *_OUT), loads=_IMAGES),
    Case("data photos --overwrite", replacing_folder(data), (*_PHOTOS, *_OVERWRITE), loads=_IMAGES),
    Case("eval perturb", photos, ("eval", "perturb", "photos", "--out", "out", "--image-size-px", "16"), loads=_IMAGES),
    Case("translate", with_students(photos, "small_int8.tflite"), (*_TRANSLATE, *_OUT), loads=_LITERT),
    Case(
        "translate --overwrite",
        with_students(replacing_folder(photos), "small_int8.tflite"),
        (*_TRANSLATE, *_OVERWRITE),
        loads=_LITERT,
    ),
    Case("cache --clear", cached, ("cache", "--clear"), shares=True),
)
"""Commands that load neither TensorFlow nor PyTorch."""
SLOW = (
    Case(
        "data avatars",
        photos,
        ("data", "avatars", "--train-per-domain", "2", "--test-per-domain", "1", "--image-size-px", "32", *_OUT),
    ),
    Case("eval report", photos, (*_REPORT, "--out", "report.html")),
    Case(
        "bench host",
        with_students(photos, "small_int8.tflite", "student_int8.tflite"),
        (*_BENCH, "--out", "bench.json"),
        varies=("bench.json",),
        loads=_LITERT,
    ),
    Case(
        "bench host --overwrite",
        with_students(replacing_record(photos, "bench.json"), "small_int8.tflite", "student_int8.tflite"),
        (*_BENCH, "--out", "bench.json", "--overwrite"),
        varies=("bench.json",),
        loads=_LITERT,
    ),
    Case("eval score", photos, _SCORE, timed=("scores.json",), loads=_LITERT),
    Case(
        "eval score --cache",
        photos,
        (*_SCORE, "--cache", "cache"),
        timed=("scores.json",),
        keeps=("cache",),
        loads=_LITERT,
    ),
    Case(
        "eval score --overwrite",
        replacing_record(photos, "scores.json"),
        (*_SCORE, "--overwrite"),
        timed=("scores.json",),
        loads=_LITERT,
    ),
    Case(
        "eval gate",
        candidate,
        (*_GATE, "--baseline", "teacher", *_OUT),
        loads=_LITERT,
    ),
    Case(
        "eval gate --overwrite",
        replacing_folder(candidate),
        (*_GATE, "--baseline", "teacher", *_OVERWRITE),
        loads=_LITERT,
    ),
    Case("eval accept", candidate, ("eval", "accept", *_GATE[2:], "--out", "baseline.json"), loads=_LITERT),
    Case("export tflite", models, ("export", "tflite", "student", *_OUT), loads=KERAS),
    Case(
        "export tflite int8",
        models,
        ("export", "tflite", "student", "--precision", "int8", "--data", "data", *_OUT),
        loads=KERAS,
    ),
    Case("export keras", models, ("export", "keras", "student", "--out", "small.keras"), loads=KERAS),
    Case(
        "export coreml",
        models,
        ("export", "coreml", "student", *_OUT),
        # The identifiers in a package are random, and the card tells the package's hash.
        varies=("mlpackage/Manifest.json", "model_card.md"),
        loads=KERAS,
    ),
    Case("teach", data, (*TEACH, *_OUT), timed=("teaching.json",), keeps=_KEPT, loads=KERAS),
    Case(
        "distill",
        models,
        (*DISTILL, *_OUT),
        timed=("training.json",),
        keeps=_KEPT,
        loads=KERAS,
    ),
    Case(
        "prune",
        models,
        ("prune", *_STUDENT, "--max-bytes", "10500", *_OUT),
        timed=("training.json",),
        keeps=_KEPT,
        loads=KERAS,
    ),
    Case(
        "quantize",
        models,
        ("quantize", *_STUDENT, "--calibration-images", "4", "--ranges", "minmax", *_OUT),
        timed=("training.json",),
        keeps=_KEPT,
        loads=KERAS,
    ),
    Case(
        "run RECIPE",
        recipe,
        ("run", "tiny.toml", "--teacher", "g.h5", "--data", "data", *_OUT),
        varies=("bench.json", ".html", "out/model_card.md"),
        timed=(".json",),
        keeps=("out", "cache"),
        loads=KERAS,
        forks=True,
    ),
)
"""Commands that load one of them, or take longer."""
