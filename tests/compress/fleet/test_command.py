"""Commands in processes of their own."""

import pytest

from compress.fleet.command import CommandFailed, run_command, run_module


def test_what_a_command_prints_is_returned() -> None:
    assert run_module("compress", ["recipe", "demo"]).startswith("#")


def test_a_command_that_fails_tells_why_and_keeps_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandFailed, match="no-such is no recipe") as raised:
        run_module("compress", ["recipe", "no-such"])
    assert raised.value.exit_code == 2
    with pytest.raises(CommandFailed) as raised:
        run_command(["recipe", "no-such"])
    assert raised.value.exit_code == 2
    assert "no-such is no recipe" in capfd.readouterr().err
