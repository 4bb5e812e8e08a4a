"""What commands print for people: units, no dicts, no long digits."""

import re

from compress.console.facts import format_facts

EXPORTED = {
    "artifact": "own/student_int8",
    "precision": "int8",
    "float_ops": [],
    "size_bytes": 206176,
    "params": 164580,
    "macs": 63294048,
    "parity": {
        "images": 4,
        "material": "photos",
        "psnr_db": 50.84566937366185,
        "largest_difference": 0.03458656743168831,
        "share_within_a_step": 1.0,
    },
    "xnnpack": {"partitions": 1, "operators": 56, "undelegated": {"MEAN": 2, "TRANSPOSE_CONV": 1}},
}


def test_an_export_is_told_in_units_and_short_numbers() -> None:
    assert format_facts(EXPORTED).splitlines() == [
        "artifact:  own/student_int8",
        "precision: int8",
        "float ops: none",
        "size:      206.2 kB",
        "params:    164,580",
        "MACs:      63.29 M",
        "parity:    images 4, material photos, PSNR 50.85 dB, largest difference 0.03459, share within a step 100.0%",
        "xnnpack:   partitions 1, operators 56, undelegated (MEAN 2, TRANSPOSE_CONV 1)",
    ]


def test_units_in_the_middle_of_a_name_are_found() -> None:
    shown = format_facts({"held_back_psnr_db_ptq": 25.1234567, "file_bytes_qat": 1_206_176, "height_px": 96})
    assert shown.splitlines() == [
        "held back PSNR ptq: 25.12 dB",
        "file qat:           1.2 MB",
        "height:             96 px",
    ]


def test_no_kind_of_value_is_shown_as_python_writes_it() -> None:
    odd = {"a": {"b": {"c": 1 / 3, "d": [1, 2]}}, "e": True, "f": None, "g": (), "h": {}, "macs": 7_987_396_608}
    shown = format_facts(odd)
    assert not re.search(r"[{}\[\]']|True|None|\d{6}", shown)
    assert shown.splitlines()[0] == "a:    b (c 0.3333, d (1, 2))"
    assert shown.splitlines()[-1] == "MACs: 7.99 G"


def test_nothing_is_nothing() -> None:
    assert format_facts({}) == ""


def test_a_name_with_a_line_feed_stays_on_its_line() -> None:
    assert format_facts({"out": "new\nline.png", "images": 2}) == "out:    new\\nline.png\nimages: 2"
