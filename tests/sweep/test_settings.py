"""From TOML and options to a plan: what it expands to, and every mistake at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotune.methods.registry import METHODS
from emotune.settings.layers import Override
from emotune.settings.preset import preset_names, read_preset
from emotune.sweep.plan import Plan, Range
from emotune.sweep.settings import load_plan
from emotune.system.errors import ConfigError

from ..facts import facts, one_states, states
from .conftest import MakePlan


def load(tmp_path: Path, text: str, **options: object) -> Plan:
    file = tmp_path / "sweep.toml"
    file.write_text(text, encoding="utf-8")
    return load_plan(file=file, **options)  # type: ignore[arg-type]


def mistakes(tmp_path: Path, text: str, **options: object) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text, **options)
    return [line.strip().replace(str(tmp_path / "sweep.toml"), "FILE") for line in str(raised.value).splitlines()]


class TestPlan:
    def test_every_method_is_the_default(self) -> None:
        plan = load_plan()
        assert [candidate.config.method.name for candidate in plan.candidates] == list(METHODS)
        assert [candidate.label for candidate in plan.candidates] == [method.title for method in METHODS.values()]
        assert plan.seeds == (0, 1, 2)  # one says nothing of how seeds differ
        assert plan.margin is None
        assert plan.folder == Path("sweep")

    @pytest.mark.parametrize("margin", [1, 0.5, 99.9])
    def test_margin(self, tmp_path: Path, margin: float) -> None:
        plan = load(tmp_path, f"[sweep]\nmethods = ['lora']\nmargin = {margin}")
        assert plan.margin == margin
        # It decides no trial: a sweep that was made without it can be told with it.
        assert plan.fingerprint == load(tmp_path, "[sweep]\nmethods = ['lora']").fingerprint

    @pytest.mark.parametrize("margin", ["0", "100", "-1", "nan", "inf", "true", "'1'", "[1]"])
    def test_margin_is_points_of_accuracy(self, tmp_path: Path, margin: str) -> None:
        (found,) = mistakes(tmp_path, f"[sweep]\nmargin = {margin}")
        assert "FILE: sweep.margin is" in found
        assert "expected points of accuracy between 0 and 100, such as 1." in found

    def test_grid_models_and_methods_are_crossed(self, tmp_path: Path) -> None:
        plan = load(
            tmp_path,
            """
            [sweep]
            methods = ["lora", { name = "lora", label = "rank-stabilized", rslora = true, epochs = 7 }]
            models = ["bundled:minilm", "owner/other"]
            [sweep.grid]
            "method.r" = [4, 64]
            training.learning_rate = [1e-4, 1e-3]
            [training]
            seeds = 3
            seed = 5
            """,
        )
        assert plan.seeds == (5, 6, 7)
        assert len(plan.candidates) == 2 * 2 * 4
        assert plan.candidates[0].label == "LoRA, r 4, learning_rate 0.0001 on bundled:minilm"
        last = plan.candidates[-1]
        assert last.label == "rank-stabilized, r 64, learning_rate 0.001 on owner/other"
        options = dict(last.config.method)
        assert (options["rslora"], options["r"], last.config.training.epochs) == (True, 64, 7)
        assert (last.config.model.name, last.config.training.learning_rate) == ("owner/other", 1e-3)
        assert len({candidate.key for candidate in plan.candidates}) == len(plan.candidates)

    def test_trials_differ_in_the_seed_and_see_the_same_rows(self, make_plan: MakePlan) -> None:
        plan = make_plan(training__seed=3)
        trials = [plan.candidates[0].trial(seed) for seed in plan.seeds]
        assert [trial.config.training.seed for trial in trials] == [3, 4]
        assert [trial.config.training.seeds for trial in trials] == [1, 1]
        assert {trial.config.data_arguments()["seed"] for trial in trials} == {3}
        assert trials[0].label == "LoRA, seed 3"

    def test_paths_are_found_from_anywhere(
        self, tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "x.csv").write_text("text,label\n")
        monkeypatch.chdir(tmp_path)
        plan = load_plan(
            overrides=["data.source=x.csv"], sweep=[Override("models", [str(tiny_bert), "owner/name"], "test")]
        )
        assert plan.candidates[0].config.data.source == str(tmp_path / "x.csv")
        assert plan.models == (str(tiny_bert), "owner/name")

    def test_options_name_the_labels(self, tmp_path: Path) -> None:
        plan = load(
            tmp_path, '[sweep]\nmethods = ["lora", { name = "lora", r = 4, target_modules = ["query", "key"] }]'
        )
        assert [found.label for found in plan.candidates] == ["LoRA", "LoRA (r 4, target_modules query+key)"]

    def test_later_layers_go_over_earlier_ones(self, tmp_path: Path) -> None:
        plan = load(
            tmp_path,
            '[sweep]\nmethods = ["full"]\n[sweep.grid]\n"training.epochs" = [1, 2]\n',
            preset="small",
            overrides=["training.seeds=4"],
            sweep=[
                Override("grid", {"training.epochs": "3,4,5"}, "--grid"),
                Override("grid", {"training.warmup": "[0.1]"}, "--grid"),
            ],
        )
        assert [found.label for found in plan.candidates] == [
            f"full fine-tuning, epochs {epochs}, warmup 0.1" for epochs in (3, 4, 5)
        ]
        assert plan.seeds == (0, 1, 2, 3)
        assert plan.base.data.source == "bundled:sample"  # the preset's

    def test_search_has_the_ranges_given_or_the_learning_rate_around_the_method_s_own(self, tmp_path: Path) -> None:
        plan = load(
            tmp_path,
            '[sweep]\nsearched = 30\nmethods = ["lora"]\n'
            '[sweep.search]\n"training.learning_rate" = { low = 1e-5, high = 1e-2, log = true }\n'
            '"method.r" = { low = 2, high = 64 }\n"training.warmup" = [0.0, 0.1]\n',
        )
        assert plan.searched == 30
        assert plan.candidates[0].ranges == {
            "training.learning_rate": Range(1e-5, 1e-2, log=True),
            "method.r": Range(2, 64, whole=True),
            "training.warmup": Range(choices=(0.0, 0.1)),
        }
        plan = load_plan(sweep=[Override("searched", 5, "--search")])
        for found in plan.candidates:
            own = METHODS[found.config.method.name].learning_rate
            chosen = found.ranges["training.learning_rate"]
            assert chosen.log
            assert (chosen.low, chosen.high) == pytest.approx((own / 10, min(own * 10, 0.5)))

    def test_fingerprint_is_that_of_what_decides_results(self, make_plan: MakePlan, tmp_path: Path) -> None:
        plan = make_plan()
        assert make_plan().fingerprint == plan.fingerprint
        assert make_plan(output__folder=str(tmp_path / "else")).fingerprint == plan.fingerprint
        assert make_plan(output__overwrite=True).fingerprint == plan.fingerprint
        for other in (
            make_plan(training__epochs=4),
            make_plan(training__seeds=3),
            make_plan({"methods": ["full", "lora"]}),
            make_plan({"searched": 2}),
        ):
            assert other.fingerprint != plan.fingerprint


class TestPresets:
    @pytest.mark.parametrize("name", preset_names("sweep"))
    def test_each_is_valid_and_says_what_it_is_for(self, name: str) -> None:
        load_plan(name)
        first_line = read_preset(name, "sweep").splitlines()[0]
        assert first_line.startswith("# ")
        assert first_line.endswith(".")

    def test_the_shoot_out_is_every_method_with_three_seeds(self) -> None:
        plan = load_plan("shoot-out")
        assert list(dict.fromkeys(found.config.method.name for found in plan.candidates)) == list(METHODS)
        assert len(plan.seeds) == 3
        assert plan.models == ("bundled:minilm",)
        assert plan.base.data.source == "dair-ai/emotion"

    def test_those_of_runs_are_not_for_sweeps(self) -> None:
        with pytest.raises(ConfigError, match=facts("quickstart", "emotune run", "emotune sweep", "small")):
            load_plan("quickstart")


class TestMistakes:
    def test_all_are_reported_at_once_with_their_place(self, tmp_path: Path) -> None:
        found = mistakes(
            tmp_path,
            """
            [sweep]
            methods = ["lora", "lorra"]
            models = []
            gird = 1
            searched = -1
            [sweep.grid]
            "method.rank" = [1]
            "training.epochs" = []
            [training]
            epochs = 0
            """,
            overrides=["data.test_size=2"],
        )
        assert len(found) == 1 + 8
        assert "8 mistakes" in found[0]
        for parts in (
            ("FILE", "sweep.gird", "did you mean sweep.grid"),
            ("--set", "data.test_size is 2", "above 0 and below 1"),
            ("FILE", "training.epochs is 0", "at least 1"),
            ("FILE", "sweep.searched is -1", "at least 0"),
            ("FILE", "sweep.methods", "'lorra'", "did you mean lora"),
            ("FILE", "sweep.models is empty", "bundled:minilm"),
            ("FILE", "'method.rank'", "did you mean method.r"),
            ("FILE", "sweep.grid", "training.epochs is []"),
        ):
            assert one_states(found, *parts), parts

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[sweep]\nmethods = []", ("FILE", "sweep.methods is empty", '["lora", "full"]', '"all"')),
            ("[sweep]\nmethods = 5", ("FILE", "sweep.methods is 5", '["lora", "full"]')),
            ("[sweep]\nmethods = [{ r = 4 }]", ("FILE", "sweep.methods", "{'r': 4}", '{name = "lora"')),
            (
                '[sweep]\nmethods = [{ name = "lora", rank = 4 }]',
                ("FILE", "sweep.methods", "'rank' of lora", "did you mean method.r"),
            ),
            ('[sweep]\nmethods = [{ name = "lora", r = 0 }]', ("FILE", "'LoRA (r 0)'", "method.r is 0", "at least 1")),
            (
                '[sweep]\nmethods = [{ name = "lora", label = " " }]',
                ("FILE", "sweep.methods", "lora is ' '", "expected text"),
            ),
            (
                '[sweep]\nmethods = ["lora"]\n[sweep.grid]\n"training.learning_rate" = [1e-3, 7]',
                ("FILE", "'LoRA, learning_rate 7'", "training.learning_rate is 7", "above 0 and below 1"),
            ),
            (
                '[sweep]\nmethods = ["full"]\n[sweep.grid]\n"method.r" = [4]',
                ("FILE", "'full fine-tuning, r 4'", "method.r cannot be set", "such as lora"),
            ),
            (
                '[sweep]\nmethods = ["lora"]\n[sweep.grid]\n"training.epochs" = [4, 4]',
                ("FILE", "sweep.grid", "training.epochs is [4, 4]", "once"),
            ),
            ('[sweep]\nmethods = ["lora", "lora"]', ("sweep", "'LoRA' and 'LoRA'", "the same", "once")),
            (
                '[sweep]\nmethods = [{ name = "lora", label = "x" }, { name = "full", label = "x" }]',
                ("sweep", "'x'", "different labels"),
            ),
            (
                '[sweep]\nmethods = ["lora"]\nmodels = ["a/b", "a/b", 5]',
                ("FILE", "sweep.models has 5", "a name or a folder"),
            ),
            ('[sweep.grid]\n"data.source" = ["a", "b"]', ("FILE", "data.source cannot differ", "same rows")),
            ('[sweep.grid]\n"training.seed" = [1, 2]', ("FILE", "training.seed cannot differ", "training.seeds")),
            ("[method]\nr = 4", ("FILE", "method.r is not for sweeps", "sweep.methods", "sweep.grid")),
            ('[method]\nname = "full"', ("FILE", "method.name is not for sweeps", "sweep.methods")),
            ('[model]\nname = "x"', ("FILE", "model.name is not for sweeps", "sweep.models")),
            ("[training]\nresume = true", ("FILE", "training.resume is not for sweeps", "--resume")),
            ("sweep = 5", ("FILE", "sweep is 5", "[sweep]")),
            ("[sweep]\ngrid = 5", ("FILE", "sweep.grid is 5", "[sweep.grid]")),
            (
                '[sweep.search]\n"training.epochs" = [1, 2]',
                ("FILE", "sweep.search", "no search was asked for", "--search N"),
            ),
            (
                '[sweep]\nsearched = 2\n[sweep.search]\n"training.learning_rate" = { low = 1e-2, high = 1e-5 }',
                ("FILE", "sweep.search", "training.learning_rate is {'low': 0.01, 'high': 1e-05}", "log = true"),
            ),
            (
                '[sweep]\nsearched = 2\nmethods = ["lora"]\n[sweep.search]\n"training.learning_rate" = { low = 1e-5, high = 3 }',
                ("FILE", "'LoRA'", "training.learning_rate is 3", "above 0 and below 1"),
            ),
            (
                '[sweep]\nsearched = 2\nmethods = ["lora"]\ngrid = { "training.epochs" = [1] }\nsearch = { "training.epochs" = [1, 2] }',
                ("FILE", "training.epochs", "sweep.grid", "sweep.search", "in one of them"),
            ),
            (
                '[sweep]\nmethods = [{ name = "lora", r = 8 }]\ngrid = { "method.r" = [4, 16] }',
                ("FILE", "method.r", "sweep.grid", "sweep.methods", "'LoRA (r 8)'", "in one of them"),
            ),
            (
                '[sweep]\nsearched = 2\nmethods = [{ name = "lora", r = 8 }]\nsearch = { "method.r" = [4, 16] }',
                ("FILE", "method.r", "sweep.search", "sweep.methods", "'LoRA (r 8)'", "in one of them"),
            ),
            (
                '[sweep]\nsearched = 2\nmethods = ["lora"]\ngrid = { "training.learning_rate" = [1e-3, 2e-3] }',
                ("FILE", "training.learning_rate", "sweep.grid", "is searched", "sweep.search"),
            ),
        ],
    )
    def test_each_says_what_was_expected(self, tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
        found = mistakes(tmp_path, text)
        assert one_states(found, *expected), found

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (
                ["training.epochs"],
                ("--grid", "'training.epochs' has no '='", "KEY=V1,V2"),
            ),
            (["=1"], ("--grid", "'' is not a setting")),
            (
                ["training.epochs=1", "training.epochs=2"],
                ("--grid", "training.epochs was given before", "with commas"),
            ),
        ],
    )
    def test_grids_of_the_command_line(self, given: list[str], expected: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError, match=facts(*expected)):
            load_plan(sweep=[Override("grid", text, "--grid") for text in given])

    def test_too_many_trials(self, tmp_path: Path) -> None:
        values = ", ".join(str(number) for number in range(1, 201))
        text = f'[sweep]\nmethods = ["lora"]\n[sweep.grid]\n"training.epochs" = [{values}]\n"method.r" = [{values}]\n'
        (found,) = mistakes(tmp_path, text)
        assert states(found, "120,000 trials", "at most 10,000")

    def test_a_grid_that_the_trial_cannot_read_is_named_with_the_option(self) -> None:
        with pytest.raises(
            ConfigError, match=facts("--grid", "'LoRA, epochs many'", "training.epochs is 'many'", "whole number")
        ):
            load_plan(
                sweep=[
                    Override("methods", ["lora"], "--methods"),
                    Override("grid", {"training.epochs": "1,many"}, "--grid"),
                ]
            )
