"""Flags, recipe keys and commands that have another name now, or none: refused with what became of them."""

from dataclasses import fields
from pathlib import Path

import pytest

from compress import console, renamed
from compress.cli import _load_recipe, app
from compress.distill.config import DiscriminatorConfig, LossConfig
from compress.errors import UsageError

DISTILL = "distill --teacher t --data d --out o"
TEACH = "teach --data d --out o"
FINE_TUNE = "--student s --teacher t --data d --out o"
FLAGS = [
    (DISTILL, "--critic-filters 4", "--discriminator-filters"),
    (DISTILL, "--critic-learning-rate 1e-3", "--discriminator-learning-rate"),
    (DISTILL, "--critic-hold-ratio 0.1", "--discriminator-hold-ratio"),
    (DISTILL, "--judged-px 64", "--discriminator-crop-px"),
    (DISTILL, "--l1-final-share 0.1", "--l1-final-scale"),
    (DISTILL, "--alignment-depth trunk", "--hint-depth"),
    (DISTILL, "--lambda-as reflection_pad", "--lambda-layers"),
    (TEACH, "--truth-weight 1", "--paired-weight"),
    ("data avatars --out o", "--train-truth", "--train-paired"),
    ("data photos d --out o", "--truth", "--paired"),
    ("export tflite m --out o", "--ends uint8", "--io-type"),
    ("export tflite m --out o", "--ends=uint8", "--io-type"),
    (f"quantize {FINE_TUNE}", "--keep-float 3", "--float-ops"),
    ("eval gate --candidate c --baseline b --real r", "--cannot-tell fail", "--inconclusive"),
]


@pytest.mark.parametrize(("command", "flag", "new"), FLAGS, ids=[f"{flag}" for _, flag, _ in FLAGS])
def test_a_renamed_flag_is_refused_with_its_new_name(
    command: str, flag: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(app, [*command.split(), *flag.split()]) == 2
    old = flag.split()[0].split("=")[0]
    assert f"{old} is now {new}." in capsys.readouterr().err


@pytest.mark.parametrize(
    "flag", ["--relation-weight", "--wavelet-weight", "--alignment-weight", "--reparameterize", "--no-reparameterize"]
)
def test_a_removed_flag_is_refused_with_the_reason(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(app, [*DISTILL.split(), flag]) == 2
    assert f"{flag} was removed: no gain was measured." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prune", "quantize"])
@pytest.mark.parametrize("flag", ["--ssim-weight", "--adversarial-weight", "--critic-filters"])
def test_losses_of_a_fine_tuning_are_said_to_be_those_of_the_distillation(
    command: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [command, *FINE_TUNE.split(), flag, "1"]
    assert console.run(app, line) == 2
    assert f"{flag} was removed" in (message := capsys.readouterr().err)
    assert "distilled with" in message


def test_every_loss_and_the_whole_discriminator_are_told_of_where_they_are_inherited() -> None:
    names = {item.name for kind in (LossConfig, DiscriminatorConfig) for item in fields(kind)}
    assert set(renamed.REMOVED) >= {f"{stage} {name}" for stage in ("prune", "quantize") for name in names}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("bench training", "compress bench training was removed."),
        ("bench energy", "compress bench energy was removed."),
        ("bench toolkit", "compress bench toolkit is now python -m benchmarks.toolkit."),
        ("bench spread a b", "compress bench spread is now python -m benchmarks.toolkit spread."),
        ("bench oracles s --data d", "compress bench oracles is now python -m benchmarks.quantizers."),
        ("bench students s", "compress bench students is now compress bench published."),
        ("bench peer omgd", "compress bench peer is now compress bench published."),
        ("bench table", "compress bench table is now compress bench published."),
    ],
)
def test_a_command_that_is_gone_is_refused_with_what_stands_in_its_place(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(app, command.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[measure]\nends = 'uint8'", r"\[measure\]: ends is now \[export\] io_type\."),
        ("[measure]\nio_type = 'uint8'", r"\[measure\]: io_type is now \[export\] io_type\."),
        ("[measure]\ncalibration_images = 3", r"calibration_images is now \[export\] calibration_images\."),
        ("[export]\nends = 'uint8'", r"\[export\]: ends is now io_type\."),
        ("[distill]\ncritic_filters = 3", r"critic_filters is now discriminator_filters\."),
        ("[distill]\nrelation_weight = 3.0", r"relation_weight was removed: no gain was measured\."),
        ("[prune]\ncritic_filters = 3", r"critic_filters was removed: .* distilled with\."),
        ("[teach]\ntruth_weight = 3.0", r"truth_weight is now paired_weight\."),
    ],
)
def test_a_renamed_key_is_refused_with_its_new_name(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(table)
    with pytest.raises(UsageError, match=message):
        _load_recipe(str(path))


def test_an_unknown_flag_that_never_was_one_is_no_renamed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(app, [*DISTILL.split(), "--nosuch"]) == 2
    assert "Unknown option: --nosuch" in capsys.readouterr().err
    # `--ends` was a flag of the export alone.
    assert console.run(app, [*DISTILL.split(), "--ends", "int8"]) == 2
    assert "io-type" not in capsys.readouterr().err


def test_a_renamed_flag_is_named_though_another_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.run(app, ["distill", "--critic-filters", "4"]) == 2
    assert "--critic-filters is now --discriminator-filters." in capsys.readouterr().err


def test_real_commands_refuse_old_names_with_exit_code_2(command) -> None:
    for line, message in (
        ((*DISTILL.split(), "--judged-px", "64"), "--judged-px is now --discriminator-crop-px."),
        (("bench", "oracles", "s"), "compress bench oracles is now python -m benchmarks.quantizers."),
    ):
        finished = command(*line)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert finished.stderr == f"compress: {message}\n"
