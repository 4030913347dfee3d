"""The configuration: layers, text from the command line, and messages that name every mistake at once."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from emotune.data.load import load_data
from emotune.methods.base import Method
from emotune.methods.bitfit import BitFit
from emotune.methods.bottleneck import Bottleneck
from emotune.methods.full import FullFineTuning
from emotune.methods.lora import LoRA
from emotune.settings.document import emotion_preset
from emotune.settings.keys import setting_help
from emotune.settings.layers import Override
from emotune.settings.preset import preset_names, read_preset
from emotune.settings.run import RunConfig
from emotune.system.errors import ConfigError
from emotune.training.options import TrainingOptions

ALL_KEYS = [f"{section}.{name}" for section, values in RunConfig().model_dump().items() for name in values]


def mistakes(**layers: Any) -> str:
    """The message of the error that these layers raise."""
    with pytest.raises(ConfigError) as caught:
        RunConfig.load(**layers)
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestDefaults:
    def test_are_the_library_s_own(self) -> None:
        config = RunConfig()
        load_defaults = {name: given.default for name, given in inspect.signature(load_data).parameters.items()}
        assert config.data_arguments() == load_defaults
        assert config.method == LoRA()
        assert isinstance(config.training, TrainingOptions)
        assert {**dict(TrainingOptions()), "seed": 0, "seeds": 1, "resume": False} == dict(config.training)

    def test_splits_are_cut_by_the_training_s_seed_unless_they_have_one(self) -> None:
        assert RunConfig.load(overrides=["training.seed=5"]).data_arguments()["seed"] == 5
        assert RunConfig.load(overrides=["training.seed=5", "data.split_seed=0"]).data_arguments()["seed"] == 0

    def test_cannot_be_changed(self) -> None:
        config = RunConfig()
        with pytest.raises(ValidationError, match="frozen"):
            config.training.epochs = 7  # type: ignore[misc]

    @pytest.mark.parametrize("key", ALL_KEYS)
    def test_are_explained(self, key: str) -> None:
        description, default = setting_help(RunConfig, key)
        assert description.endswith(".")
        assert default != ""


class TestPresets:
    def test_emotion_is_the_defaults_written_out(self) -> None:
        assert RunConfig.load("emotion") == RunConfig()
        assert read_preset("emotion") == emotion_preset(), "run python -m emotune.settings.document"

    def test_quickstart_needs_no_network(self) -> None:
        config = RunConfig.load("quickstart")
        assert (config.data.source, config.model.name) == ("bundled:sample", "bundled:minilm")

    @pytest.mark.parametrize("name", preset_names())
    def test_each_is_valid_and_says_what_it_is_for(self, name: str) -> None:
        RunConfig.load(name)
        first_line = read_preset(name).splitlines()[0]
        assert first_line.startswith("# ")
        assert first_line.endswith(".")

    def test_unknown_one_suggests_the_closest_and_lists_all(self) -> None:
        message = mistakes(preset="quickstat")
        assert "'quickstat'; did you mean quickstart?" in message
        assert "emotion, quickstart" in message

    def test_name_is_not_a_path(self) -> None:
        assert "no preset" in mistakes(preset="../presets/quickstart")


class TestLayers:
    def test_later_ones_go_over_earlier_ones(self, tmp_path: Path) -> None:
        file = write(tmp_path / "my.toml", "[training]\nepochs = 7\npatience = 3\n[method]\nr = 4\n")
        config = RunConfig.load("quickstart", file, ["method.r=2"])
        assert config.model.name == "bundled:minilm"  # the preset over the defaults
        assert config.training.epochs == 7  # the file over the preset
        assert config.training.patience == 3
        assert dict(config.method)["r"] == 2  # the override over the file

    def test_overrides_by_key_take_python_values(self, tmp_path: Path) -> None:
        config = RunConfig.load(
            overrides={"output.folder": tmp_path, "method.target_modules": ["query"], "training.seed": 3}
        )
        assert config.output.folder == str(tmp_path)
        assert dict(config.method)["target_modules"] == ("query",)
        assert config.training.seed == 3

    def test_file_may_carry_a_byte_order_mark(self, tmp_path: Path) -> None:
        file = tmp_path / "my.toml"
        file.write_text("[training]\nepochs = 7\n", encoding="utf-8-sig")
        assert RunConfig.load(file=file).training.epochs == 7

    @pytest.mark.parametrize(
        "settings",
        [
            [],
            ["method.alpha=8", "method.target_modules=['query', 'value']", "training.learning_rate=2e-4"],
            ["data.labels=['a', 'b']", 'data.text_column="say \\"so\\""', "output.overwrite=true"],
            [r"method.target_modules='encoder\.layer\.\d+\..*query'"],
        ],
    )
    def test_toml_round_trip(self, tmp_path: Path, settings: list[str]) -> None:
        config = RunConfig.load(overrides=settings)
        assert RunConfig.load(file=write(tmp_path / "again.toml", config.to_toml())) == config


class TestMethods:
    @pytest.mark.parametrize(
        ("settings", "method"),
        [
            (["method.name=lora", "method.r=4"], LoRA(r=4)),
            (["method.name=bitfit"], BitFit()),
            (["method.name=bottleneck"], Bottleneck()),
            (
                ["method.name=bottleneck", "method.size=8", "method.placement=pfeiffer", "method.activation=relu"],
                Bottleneck(size=8, placement="pfeiffer", activation="relu"),
            ),
            (
                ["method.name=bottleneck", "method.target_modules=['output.dense']", "method.dropout=0.1"],
                Bottleneck(target_modules=("output.dense",), dropout=0.1),
            ),
            (["method.name=full"], FullFineTuning()),
        ],
    )
    def test_are_built_with_their_options(self, settings: list[str], method: Method, tmp_path: Path) -> None:
        config = RunConfig.load(overrides=settings)
        assert config.method == method
        assert RunConfig.load(file=write(tmp_path / "again.toml", config.to_toml())) == config

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            (["method.name=bitfit", "method.r=4"], "r cannot be set for BitFit; its options: none"),
            (["method.size=4"], "size cannot be set for LoRA; its options: r, alpha, dropout, target_modules, rslora"),
            (
                ["method.name=bottleneck", "method.alpha=4"],
                "alpha cannot be set for bottleneck adapter; its options: size, placement, activation, dropout, target_modules",
            ),
            (["method.name=bottleneck", "method.size=0"], "method.size is 0; expected a whole number of at least 1"),
            (
                ["method.name=bottleneck", "method.placement=parallel"],
                'method.placement is \'parallel\'; expected one of "houlsby", "pfeiffer"',
            ),
            (
                ["method.name=bottleneck", "method.activation=tanh"],
                'method.activation is \'tanh\'; expected one of "gelu", "relu"',
            ),
            (
                ["method.name=bottleneck", "method.placement=pfeiffer", "method.target_modules=query"],
                "both placement and target_modules say where adapters go; give one of them",
            ),
            (["method.name=bitfits"], "method.name is 'bitfits'"),
        ],
    )
    def test_refuse_what_does_not_fit(self, settings: list[str], expected: str) -> None:
        message = mistakes(overrides=settings)
        assert message.startswith("--set")
        assert expected in message
        assert "\n" not in message


class TestTextValues:
    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("training.epochs=5", 5),
            (" training.epochs = 5 ", 5),
            ("training.learning_rate=1e-4", 1e-4),
            ("training.learning_rate=.01", 0.01),
            ("training.weight_decay=0", 0.0),
            ("training.resume=true", True),
            ("training.precision=fp32", "fp32"),
            ('training.precision="fp32"', "fp32"),
            ("model.name=bert-base-uncased", "bert-base-uncased"),
            ("data.source=a=b.csv", "a=b.csv"),
            ("data.text_column=2024", "2024"),
            ("data.text_column=true", "true"),
            ("data.text_column=2024-01-01", "2024-01-01"),
            ("data.text_column=[1]", "[1]"),
            ("data.test=none", None),
            ('data.test="none"', "none"),
            ("method.alpha=none", None),
            ("method.target_modules=all-linear", "all-linear"),
            ("method.target_modules=.*(query|value)", ".*(query|value)"),
            ('method.target_modules=["query", "value"]', ("query", "value")),
        ],
    )
    def test_are_read_with_the_setting_s_type_in_view(self, setting: str, expected: object) -> None:
        section, name = setting.partition("=")[0].strip().split(".")
        value = getattr(getattr(RunConfig.load(overrides=[setting]), section), name)
        assert value == expected
        assert type(value) is type(expected)

    @pytest.mark.parametrize("key", ALL_KEYS)
    def test_every_setting_can_be_set_to_its_default(self, key: str) -> None:
        section, name = key.split(".")
        default = RunConfig().model_dump()[section][name]
        text = "none" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        assert RunConfig.load(overrides=[f"{key}={text}"]) == RunConfig()

    def test_line_ends_do_not_smuggle_in_a_second_setting(self) -> None:
        config = RunConfig.load(overrides=["data.source=1\nother = 2"])
        assert config.data.source == "1\nother = 2"


class TestMistakes:
    def test_all_layers_are_reported_at_once(self, tmp_path: Path) -> None:
        file = write(tmp_path / "my.toml", "[training]\nepoch = 3\nlearning_rate = 'fast'\n[modle]\nname = 'x'\n")
        message = mistakes(
            preset="none-such",
            file=file,
            overrides=[Override("method.r", "-1", "--rank"), "data.test_size=2", "seed=1"],
        )
        lines = message.splitlines()
        assert lines[0] == "The configuration has 7 mistakes:"
        assert lines[1:] == [
            "  There is no preset 'none-such'. The presets are: emotion, quickstart.",
            f"  {file}: training.epoch is not a setting; did you mean training.epochs?",
            f"  {file}: [modle] is not a section; did you mean [model]?",
            "  --set: seed is not a setting; did you mean training.seed?",
            "  --set: data.test_size is 2; expected a number above 0 and below 1.",
            "  --rank: method.r is -1; expected a whole number of at least 1.",
            f"  {file}: training.learning_rate is 'fast'; expected a number above 0 and below 1.",
        ]

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("training.epochs=0", "training.epochs is 0; expected a whole number of at least 1"),
            ("training.epochs=2.5", "training.epochs is 2.5; expected a whole number"),
            ("training.epochs=five", "training.epochs is 'five'; expected a whole number"),
            ("training.epochs=true", "training.epochs is true; expected a whole number"),
            ("training.learning_rate=0", "training.learning_rate is 0; expected a number above 0 and below 1"),
            ("training.learning_rate=nan", "training.learning_rate is nan; expected a number"),
            ("training.weight_decay=inf", "training.weight_decay is inf; expected a number of at least 0"),
            ("training.warmup=1", "training.warmup is 1; expected a number of at least 0 and below 1"),
            ("training.seed=4294967296", "expected a whole number of at least 0 and below 4294967296"),
            ("training.focal_gamma=-1", "training.focal_gamma is -1; expected a number of at least 0"),
            ("training.focal_gamma=inf", "training.focal_gamma is inf; expected a number of at least 0"),
            (
                "training.class_weights=inverse",
                'training.class_weights is \'inverse\'; expected one of "none", "balanced", "sqrt"',
            ),
            ("training.sampling=none", 'training.sampling is \'none\'; expected one of "plain", "balanced"'),
            ("training.resume=yes", "training.resume is 'yes'; expected true or false"),
            ("training.precision=fp16", 'training.precision is \'fp16\'; expected one of "auto", "bf16", "fp32"'),
            ("method.name=zora", "method.name is 'zora'; expected one of \"lora\""),
            ("method.name=[1]", "method.name is"),
            ("method.r=-1", "method.r is -1; expected a whole number of at least 1"),
            ("method.alpha=0", "method.alpha is 0; expected a number above 0"),
            (
                "method.target_modules=[]",
                "method.target_modules is []; expected text that is not blank or a list of texts",
            ),
            ("method.target_modules=[1]", "method.target_modules is [1]; expected text"),
            ("method.target_modules=(query", "expected all-linear, a list of names or a regular expression"),
            ("model.max_length=7", "model.max_length is 7; expected a whole number of at least 8"),
            ("data.source=", "data.source is ''; expected text that is not blank"),
            ('data.text_column=" "', "data.text_column is ' '; expected text that is not blank"),
            ("data.labels=joy", "data.labels is 'joy'; expected a list of texts"),
            ('data.labels=["joy"]', "expected at least two labels"),
            ('data.labels=["joy", "joy"]', "none of them twice"),
        ],
    )
    def test_wrong_values_say_what_was_seen_and_expected(self, setting: str, expected: str) -> None:
        message = mistakes(overrides=[setting])
        assert message.startswith("--set: ")
        assert expected in message
        assert "\n" not in message

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("training.epoch=1", "did you mean training.epochs?"),
            ("trainig.epochs=1", "did you mean training.epochs?"),
            ("learning_rate=1", "did you mean training.learning_rate?"),
            ("methd.nam=1", "did you mean method.name?"),
            ("learning-rate=1", "did you mean training.learning_rate?"),
            ("model.dropout=0.1", "did you mean method.dropout?"),
            (
                "model.zzz=1",
                "the settings of [model] are name, revision, max_length, long_texts, fresh_head, keep_head.",
            ),
            ("zzz=1", "the sections are data, model, method, training, baselines, output"),
            ("training=1", "training is a section, not a setting"),
            ("training.epochs", "has no '='"),
            ("training.epochs.now=1", "did you mean training.epochs?"),
            ("=1", "'' is not a setting"),
        ],
    )
    def test_unknown_settings_suggest_what_was_meant(self, setting: str, expected: str) -> None:
        assert expected in mistakes(overrides=[setting])

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("epochs = 5\n", "epochs is not a setting; did you mean training.epochs?"),
            ("training = 5\n", "training is a section, not a setting: got 5, expected [training]"),
            ("[training.epochs]\nx = 1\n", "training.epochs is {'x': 1}; expected a whole number"),
            (
                "[zzz]\nx = 1\n",
                "[zzz] is not a section; the sections are data, model, method, training, baselines, output, tracking.",
            ),
        ],
    )
    def test_misplaced_tables(self, tmp_path: Path, text: str, expected: str) -> None:
        file = write(tmp_path / "my.toml", text)
        message = mistakes(file=file)
        assert message.startswith(f"{file}: ")
        assert expected in message

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"[training]\nepochs = \n", "line 2"),
            (b"[training]\nepochs = 1\nepochs = 2\n", "line 3"),
            (b'[data]\nsource = """x\n', "line 2"),
            (b"[data]\nsource = '\xe9'\n", "not UTF-8 at byte 17"),
        ],
    )
    def test_broken_files_say_where(self, tmp_path: Path, data: bytes, expected: str) -> None:
        file = tmp_path / "my.toml"
        file.write_bytes(data)
        message = mistakes(file=file)
        assert message.startswith(f"{file}: not ")
        assert expected in message

    def test_missing_file(self, tmp_path: Path) -> None:
        assert "missing.toml: cannot be read (No such file or directory)" in mistakes(file=tmp_path / "missing.toml")

    def test_the_same_setting_twice_on_the_command_line(self) -> None:
        message = mistakes(overrides=[Override("training.epochs", "3", "--epochs"), "training.epochs=5"])
        assert message == "--set: training.epochs was given before, by --epochs; give it once."

    def test_rules_over_several_settings_name_all_their_places(self, tmp_path: Path) -> None:
        file = write(tmp_path / "my.toml", "[data]\ntest_size = 0.5\n")
        message = mistakes(file=file, overrides=["data.validation_size=0.6"])
        assert (
            message
            == f"{file}, --set: in [data], validation_size and test_size are 0.6 and 0.5; expected a sum below 1."
        )

    def test_classes_are_balanced_in_one_way(self) -> None:
        message = mistakes(overrides=["training.class_weights=sqrt", "training.sampling=balanced"])
        assert message == (
            '--set: in [training], class_weights is "sqrt" and sampling is "balanced"; '
            "expected one of them, since together they correct the same twice."
        )

    def test_values_are_escaped_and_shortened(self) -> None:
        message = mistakes(overrides=["training.epochs=\x1b[31m" + "x" * 500, "\x1b[31m=1"])
        assert "\x1b" not in message
        assert r"\x1b[31m" in message
        assert "x" * 60 not in message


def test_options_of_another_method_are_refused_with_what_to_do() -> None:
    message = mistakes(overrides=["method.name=full", "method.target_modules=query", "method.tokens=3"])
    for option, taker in (("target_modules", "lora"), ("tokens", "prefix")):
        assert f"method.{option} cannot be set for full fine-tuning; its options: none. Leave it out" in message
        assert f"choose a method that takes it, such as {taker}." in message


@pytest.mark.parametrize("name", [[], {}, 3, None])
def test_a_method_whose_name_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=r"method\.name is"):
        RunConfig.load(overrides={"method.name": name})
