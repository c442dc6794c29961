"""Settings of a run come back as they were, and a run goes on under the same ones alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import INDICES, SETTINGS, write

from smoothbound import store
from smoothbound.anytime._record import AdaptiveRecord, BudgetRecord
from smoothbound.bounds._method import Method
from smoothbound.errors import StoreError
from smoothbound.store._commands import certify_command
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.shard import Shard


@settings(max_examples=30, deadline=None)
@given(
    sigma=st.floats(1e-300, 1e300),
    radii=st.lists(st.floats(0, 1e300), min_size=1),
    cutoff=st.floats(-1, 1),
    name=st.text(),
)
def test_settings_survive_json_to_the_last_bit(
    sigma: float, radii: list[float], cutoff: float, name: str
) -> None:
    made = dataclasses.replace(
        SETTINGS, sigma=sigma, radii=tuple(radii), cutoff=cutoff, checkpoint=name
    )
    assert RunSettings.from_json(made.to_json()) == made
    assert made.differences(RunSettings.from_json(made.to_json())) == []


def test_a_plan_that_is_no_object_is_refused() -> None:
    text = SETTINGS.to_json().replace('"adaptive": null', '"adaptive": [1]')
    with pytest.raises(StoreError, match="adaptive must be an object"):
        RunSettings.from_json(text)


def test_rules_of_adaptive_draws_come_back_as_they_were() -> None:
    rules = AdaptiveRecord(
        asked="FindRadius",
        precision=0.1,
        strictness=0.5,
        correct_only=True,
        budget=BudgetRecord(draws=7, seconds=2.5),
    )
    made = dataclasses.replace(SETTINGS, adaptive=rules)
    assert RunSettings.from_json(made.to_json()) == made
    assert "--radius-precision=0.1" in certify_command(made, "out")
    assert "--budget-draws=7" in certify_command(made, "out")
    other = dataclasses.replace(made, adaptive=dataclasses.replace(rules, correct_only=False))
    assert made.differences(other) == ["adaptive correct_only: was True, now False"]
    finer = dataclasses.replace(made, adaptive=dataclasses.replace(rules, precision=0.05))
    assert made.differences(finer) == ["adaptive precision: was 0.1, now 0.05"]
    assert not made.goes_on_as(finer)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_rules_of_draws_in_stages_are_read_and_kept(version: int) -> None:
    stages = {
        "asked": "FindRadius",
        "question": {"threshold": 0.5, "precision": 0.05},
        "sigma": 0.25,
        "stages": [{"n": 100, "alpha": 0.0005}, {"n": 1000, "alpha": 0.0005}],
        "budget": {"draws": 500, "seconds": None},
    }
    plain = json.loads(SETTINGS.to_json()) | {"format": version, "adaptive": stages}
    made = RunSettings.from_json(json.dumps(plain))
    assert made.adaptive is not None
    assert (made.adaptive.asked, made.adaptive.precision) == ("FindRadius", 0.05)
    assert made.adaptive.budget == BudgetRecord(draws=500)
    assert json.loads(made.to_json())["adaptive"] == stages
    command = certify_command(made, "out")
    assert "--radii" not in command
    assert "--adaptive --out out" in command


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"asked": "Guess"}, {"asked": "Decide", "strictness": -1}, {"asked": "Decide", "x": 1},
        {"asked": "Decide", "budget": {"hours": 1}}, {"asked": "Decide", "stages": {}},
        {"asked": "Decide", "budget": {"draws": 0}}, {"asked": "Decide", "correct_only": 1},
        {"asked": "FindRadius", "precision": 0.0},
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    plain = json.loads(SETTINGS.to_json()) | {"adaptive": {"test": "anytime", **wrong}}
    with pytest.raises(StoreError, match="adaptive"):
        RunSettings.from_json(json.dumps(plain))


@pytest.mark.parametrize("name", ["methods", "radii", "thresholds"])
def test_settings_need_a_method_a_radius_and_a_threshold(name: str) -> None:
    changed: dict[str, Any] = {name: ()}
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        dataclasses.replace(SETTINGS, **changed)


@pytest.mark.parametrize("complete", [True, False])
def test_resume_with_other_settings_is_refused_naming_each(tmp_path: Path, complete: bool) -> None:
    write(tmp_path, INDICES)
    if complete:
        with store.Writer(tmp_path, SETTINGS, resume=True) as writer:
            writer.finish()
    other = dataclasses.replace(
        SETTINGS, sigma=0.5, methods=(Method("mean"),), versions={"smoothbound": "0.1.0"}
    )
    with pytest.raises(StoreError) as caught:
        store.Writer(tmp_path, other, resume=True)
    said = str(caught.value)
    assert "sigma: was 0.25, now 0.5" in said
    assert "methods: was (" in said
    assert "version of torch: was '2.4', now None" in said
    assert "seed" not in said
    assert store.load(tmp_path).settings == SETTINGS


OTHERS = {
    "state_dict": "model_ema",
    "score_range": (-1.0, 1.0),
    "alpha": 0.002,
    "indices": (3, 4),
    "channels_last": True,
    "from_counts": True,
    "compile": "default",
    "outputs": "raw",
    "precision": "tf32",
    "select": "score",
    "classes": "all",
}


def test_each_setting_counts() -> None:
    for field in dataclasses.fields(RunSettings):
        value = getattr(SETTINGS, field.name)
        changed: Any
        if field.name in OTHERS:
            changed = OTHERS[field.name]
        elif field.name == "versions":
            changed = value | {"torch": "2.5"}
        elif field.name == "noise":
            changed = dataclasses.replace(value, grid=255)
        elif field.name == "adaptive":
            changed = {"asked": "Decide"}
        elif field.name == "shard":
            changed = Shard(0, 2)
        elif isinstance(value, tuple):
            changed = value[::-1]
        elif isinstance(value, bool):
            changed = not value
        elif isinstance(value, str):
            changed = value + "x"
        else:
            changed = (value or 0) + 1
        other = dataclasses.replace(SETTINGS, **{field.name: changed})
        (said,) = SETTINGS.differences(other)
        assert field.name in said or "version of torch" in said


def test_the_command_of_a_file_with_the_name_of_its_network_names_both() -> None:
    made = dataclasses.replace(SETTINGS, checkpoint=SETTINGS.arch)
    named = f"--checkpoint DIR/{SETTINGS.arch} --arch {SETTINGS.arch} "
    assert named in certify_command(made, "out")
