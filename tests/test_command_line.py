"""`python -m fastnn`: what a person types."""

import pytest

import fastnn
from fastnn.__main__ import main


def test_config_and_version(capsys):
    assert main(["config"]) == 0
    assert fastnn.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0 and fastnn.__version__ in capsys.readouterr().out


def test_no_command_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2 and "demo" in capsys.readouterr().err
