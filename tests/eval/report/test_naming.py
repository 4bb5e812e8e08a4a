"""One row a model, however it was named."""

import pytest

from compress.errors import UsageError
from eval.report.naming import CONTROL, TEACHER, ModelNames


@pytest.mark.parametrize("name", ["Student INT8", "student-int8", "student_int8.tflite", " student.int8 "])
def test_spellings_of_one_name_are_one_row(name: str) -> None:
    assert ModelNames(["student_int8", "other"]).assign({name: ()}) == {name: "student_int8"}


@pytest.mark.parametrize("name", ["inputs", "input", "Photos", "control", "untouched inputs", "untouched-photos"])
def test_every_name_of_the_control_is_its_row(name: str) -> None:
    assert ModelNames(["student"]).assign({name: ()}) == {name: CONTROL}


def test_a_folders_and_a_files_names_lead_to_the_row_that_the_user_named() -> None:
    names = ModelNames(["small"])
    names.learn({"small": ["student_int8", "images"]})
    assert names.assign({"student_int8": ("student_int8", "run"), "teacher": ()}) == {
        "student_int8": "small", "teacher": TEACHER,
    }  # fmt: skip
    # What no row knows is a row of its own.
    assert names.assign({"model": ("student-int8", "")}) == {"model": "small"}
    assert names.assign({"peer": ("peer", "peers")}) == {"peer": "peer"}


def test_what_two_rows_are_called_leads_to_neither() -> None:
    names = ModelNames(["first", "second"])
    names.learn({"first": ["student"], "second": ["student"]})
    assert names.assign({"student": ()}) == {"student": "student"}


def test_two_models_of_one_file_never_share_a_row() -> None:
    names = ModelNames(["small"])
    names.learn({"small": ["student"]})
    # The one whose own name is the row's has it, whatever comes first.
    assert names.assign({"pruned": ("student",), "small": ("student",)}) == {"small": "small", "pruned": "pruned"}
    assert names.assign({"a": ("student",), "b": ("student",)}) == {"a": "small", "b": "b"}
    assert names.assign({"small": (), "Small": ()}) == {"small": "small", "Small": "Small"}


@pytest.mark.parametrize("columns", [["a b", "a_b"], ["teacher"], ["Teacher"], ["inputs"]])
def test_columns_that_would_be_one_row_are_refused(columns: list[str]) -> None:
    with pytest.raises(UsageError, match="would be one row"):
        ModelNames(columns)
