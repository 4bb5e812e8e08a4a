"""Old names of flags, recipe keys and commands: they are refused by a message that tells the new name."""

from collections.abc import Collection, Mapping

RENAMED: Mapping[str, str] = {
    "alignment_depth": "hint_depth",
    "cannot_tell": "inconclusive",
    "critic_filters": "discriminator_filters",
    "critic_hold_ratio": "discriminator_hold_ratio",
    "critic_learning_rate": "discriminator_learning_rate",
    "data photos truth": "paired",
    "ends": "io_type",
    "judged_px": "discriminator_crop_px",
    "keep_float": "float_ops",
    "l1_final_share": "l1_final_scale",
    "lambda_as": "lambda_layers",
    "measure calibration_images": "[export] calibration_images",
    "measure ends": "[export] io_type",
    "measure io_type": "[export] io_type",
    "train_truth": "train_paired",
    "truth_weight": "paired_weight",
}
"""Old name to new name; of the flags of one command or the keys of one table, after its name."""

_NO_GAIN = "no gain was measured"
_INHERITED = "a student is fine-tuned with the losses and the discriminator that it was distilled with"
_LOSSES_AND_DISCRIMINATOR = (
    "adversarial_from_step", "adversarial_loss", "adversarial_weight", "channel_weight", "coarse_weight",
    "discriminator", "discriminator_crop_px", "discriminator_filters", "discriminator_hold_ratio",
    "discriminator_learning_rate", "feature_weight", "gradient_weight", "gram_weight", "hint_depth", "hint_weight",
    "l1_final_scale", "l1_weight", "matching_weight", "ms_ssim_weight", "perceptual_network", "perceptual_weight",
    "ssim_weight", "statistics_weight", "total_variation_weight",
)  # fmt: skip

REMOVED: Mapping[str, str] = {
    **dict.fromkeys(("alignment_weight", "relation_weight", "reparameterize", "wavelet_weight"), _NO_GAIN),
    **{f"{stage} {name}": _INHERITED for stage in ("prune", "quantize") for name in _LOSSES_AND_DISCRIMINATOR},
}
"""Old name, written as in `RENAMED`, to the reason why nothing stands in its place."""

COMMANDS: Mapping[str, str] = {
    "bench energy": "",
    "bench oracles": "python -m benchmarks.quantizers",
    "bench peer": "compress bench published",
    "bench spread": "python -m benchmarks.toolkit spread",
    "bench students": "compress bench published",
    "bench table": "compress bench published",
    "bench toolkit": "python -m benchmarks.toolkit",
    "bench training": "",
}
"""Old command to the new one; empty where nothing stands in its place."""


def explain_key(key: str, table: str, *, known: Collection[str]) -> str | None:
    """Return what became of an unknown key of a recipe, as a sentence; None where it never was one.

    Args:
        key: The unknown key.
        table: The recipe's table, such as `measure`.
        known: The keys that the table has.
    """
    found = _look_up(key, table, known)
    return None if found is None else _sentence(key, found, new=found)


def explain_flag(flag: str, command: str, *, known: Collection[str]) -> str | None:
    """Return what became of an unknown flag, as a sentence; None where it never was one.

    Args:
        flag: The unknown flag as it was typed: `--lambda-as` or `--lambda-as=reflection_pad`.
        command: The command after the program's name, such as `data photos`.
        known: The flags that the command has, such as `--lambda-layers`.
    """
    spelled = flag.partition("=")[0]
    found = _look_up(_key(spelled).removeprefix("no_"), command, [_key(item) for item in known])
    return None if found is None else _sentence(spelled, found, new=f"--{found.replace('_', '-')}")


def explain_command(command: str) -> str | None:
    """Return what became of an unknown command, as a sentence; None where it never was one."""
    if command not in COMMANDS:
        return None
    new = COMMANDS[command]
    return f"compress {command} is now {new}." if new else f"compress {command} was removed."


def _key(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _look_up(name: str, place: str, known: Collection[str]) -> str | None:
    """Return the new name of an old one, or its last name in `REMOVED`, or None."""
    for old in (f"{place} {name}", name):
        if old in REMOVED:
            return old
        if new := RENAMED.get(old):
            return new if new in known or new.startswith("[") else _look_up(new, place, known)
    return None


def _sentence(old: str, found: str, *, new: str) -> str:
    return f"{old} was removed: {REMOVED[found]}." if found in REMOVED else f"{old} is now {new}."
