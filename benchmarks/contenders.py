"""One contender of benchmarks/speed.py, as a process: set up, warm up, then do one block of work per line of input.

    python benchmarks/contenders.py training trainer minilm

Every answer is one line of JSON. A contender works as its users would, with the library's own loop.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from results import product_rate

# Steps per block, about the same number of rows; group_by_length sorts 50 batches together, longest first.
STEPS = {"emotune": 36, "emotune-fp32": 36, "trainer": 50, "trainer-fp32": 50, "notebook": 1}
SLOW = "notebook"


def say(**answer: Any) -> None:
    """Answer the program that started this one."""
    print(json.dumps(answer), flush=True)


def wait() -> None:
    """Wait for the next turn; end with the input."""
    if not sys.stdin.readline():
        os._exit(0)


def load() -> Any:
    """Load the real data, or the bundled sample."""
    import emotune

    return emotune.load_data(os.environ.get("EMOTUNE_EMOTION_DATA", "bundled:sample"))


def load_base(model: str, labels: tuple[str, ...]) -> Any:
    """Load MiniLM, or BERT-base in its published shape with random weights and MiniLM's tokenizer, which is BERT's."""
    import emotune

    base = emotune.load_base("bundled:minilm", labels=labels)
    if model == "minilm":
        return base
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(num_labels=len(labels))
    config.name_or_path = "bert-base"
    built = BertForSequenceClassification(config)
    built.name_or_path = "bert-base"
    return replace(base, name="bert-base", model=built.eval())


def peak() -> int:
    """Return the peak memory of this process."""
    from emotune.system.memory import peak_memory_bytes

    return peak_memory_bytes()


class Turns:
    """Counter of a training loop's steps, which waits for its turn after every block.

    Args:
        name: The contender.
        rows: Rows of each step, in order; a single number if all are equal.
        tokens: Mean tokens per row.
    """

    def __init__(self, name: str, rows: list[int] | int, tokens: float) -> None:
        self.steps_a_block = STEPS[name]
        self.slow = name == SLOW
        self.rows = rows
        self.tokens = tokens
        self.step = 0
        self.started = 0.0

    def after_step(self) -> None:
        """Count a step, and wait for the next turn at the end of a block."""
        self.step += 1
        if self.step % self.steps_a_block:
            return
        seconds = time.perf_counter() - self.started
        if self.step == self.steps_a_block:  # the first block warms up
            say(ready=True, slow=self.slow)
        else:
            block = slice(self.step - self.steps_a_block, self.step)
            rows = self.rows * self.steps_a_block if isinstance(self.rows, int) else sum(self.rows[block])
            say(examples=rows, seconds=seconds, tokens_per_example=self.tokens, peak_memory_bytes=peak())
        wait()
        self.started = time.perf_counter()


def train_emotune(model: str, name: str) -> None:
    """Train with `emotune.finetune`, by default or in float32."""
    import emotune
    from emotune.models.encoding import encode_split
    from emotune.system.progress import Silent
    from emotune.training.batches import TokenBudgetBatches

    data = load()
    base = load_base(model, data.labels)
    encoded = encode_split(base.tokenizer, data.train, base.max_length)
    batches = TokenBudgetBatches(encoded.lengths, 1024, 0)
    turns = Turns(name, [len(rows) for rows in batches], float(encoded.lengths.mean()))

    class Steps(Silent):
        """Progress that counts the steps."""

        @contextmanager
        def bar(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
            """Count the steps of the bar of training."""
            yield lambda units: turns.after_step() if description == "training" and units else None

    options = emotune.TrainingOptions(epochs=50, precision="fp32" if name == "emotune-fp32" else "auto")
    emotune.finetune(base, data, emotune.LoRA(), options, progress=Steps())


def train_trainer(model: str, name: str) -> None:
    """Train with transformers' Trainer: a good script ("trainer", "trainer-fp32"), or a plain notebook ("notebook")."""
    from datasets import Dataset
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    from emotune.models.families import encoder_linear_modules
    from emotune.models.targets import resolve_targets

    data = load()
    base = load_base(model, data.labels)
    good = name != "notebook"
    padding = {} if good else {"padding": "max_length"}
    encoded = base.tokenizer(list(data.train.texts), truncation=True, max_length=512, **padding)
    dataset = Dataset.from_dict({**encoded, "labels": data.train.label_ids.tolist()})
    if good:
        targets = list(resolve_targets(encoder_linear_modules(base.model), "all-linear"))
        lora = LoraConfig(task_type=TaskType.SEQ_CLS, r=16, lora_alpha=32, target_modules=targets)
    else:
        lora = LoraConfig(
            task_type=TaskType.SEQ_CLS, r=8, lora_alpha=32, lora_dropout=0.1, target_modules=["query", "v_proj"]
        )
    tokens = sum(map(sum, encoded["attention_mask"])) / len(dataset)
    turns = Turns(name, 32 if good else 8, tokens)

    class TakeTurns(TrainerCallback):  # type: ignore[misc,unused-ignore]
        """Callback that waits after a block of steps."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """Count the step."""
            turns.after_step()

    good_arguments = {
        "bf16": name == "trainer",
        "train_sampling_strategy": "group_by_length",
        "per_device_train_batch_size": 32,
    }
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=50,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            seed=0,
            **(good_arguments if good else {}),
        )
        Trainer(
            model=get_peft_model(base.model, lora),
            args=arguments,
            train_dataset=dataset,
            data_collator=DataCollatorWithPadding(base.tokenizer) if good else None,
            callbacks=[TakeTurns()],
        ).train()


def tune(folder: str) -> None:
    """Tune MiniLM for two epochs, and save it for the contenders at prediction."""
    import emotune

    data = load()
    say(ready=True)
    wait()
    tuned = emotune.finetune(load_base("minilm", data.labels), data, options=emotune.TrainingOptions(epochs=2))
    tuned.save(folder)
    say(saved=folder)


def predict(folder: str, name: str) -> None:
    """Label the test split's texts, or 256 of them if all would take minutes; tokenization is included.

    Args:
        folder: A folder that `tune` has written.
        name: The contender.
    """
    import emotune

    data = load()
    tuned = emotune.load(folder)
    texts = list(data.test.texts)
    every = max(1, len(texts) // 256) if name.startswith("pipeline") else 1
    few, truth = texts[::every], data.test.label_ids[::every]
    with tempfile.TemporaryDirectory() as work:
        labeller = LABELLERS[name](tuned, Path(work))
        labeller(few[:64])
        accuracy = float((labeller(few) == truth).mean())
        say(ready=True)
        tokens = sum(map(len, tuned.tokenizer(few)["input_ids"])) / len(few)
        while True:
            wait()
            started = time.perf_counter()
            labels = labeller(few)
            seconds = time.perf_counter() - started
            if len(labels) != len(few):
                raise RuntimeError("a label is missing")
            say(
                examples=len(few),
                seconds=seconds,
                tokens_per_example=tokens,
                peak_memory_bytes=peak(),
                accuracy=accuracy,
            )


def latency(folder: str, name: str) -> None:
    """Label 100 texts of the test split, one per call, as a service does for a single client.

    Args:
        folder: A folder that `tune` has written.
        name: The contender.
    """
    import emotune

    tuned = emotune.load(folder)
    texts = list(load().test.texts[:100])
    with tempfile.TemporaryDirectory() as work:
        labeller = LABELLERS[name](tuned, Path(work))
        for text in texts:
            labeller([text])
        say(ready=True)
        tokens = sum(map(len, tuned.tokenizer(texts)["input_ids"])) / len(texts)
        while True:
            wait()
            started = time.perf_counter()
            for text in texts:
                labeller([text])
            seconds = time.perf_counter() - started
            say(examples=len(texts), seconds=seconds, tokens_per_example=tokens, peak_memory_bytes=peak())


Labeller = Callable[[list[str]], Any]
"""Function from texts to label ids, shape (texts,)."""


def emotune_labeller(tuned: Any, folder: Path, precision: str) -> Labeller:
    """Predict with `emotune.Predictor`."""
    import numpy as np

    import emotune

    predictor = emotune.Predictor(tuned, precision=precision)
    number = {label: place for place, label in enumerate(tuned.labels)}
    return lambda texts: np.array([number[label] for label in predictor.predict(texts).labels])


def pipeline_labeller(tuned: Any, folder: Path, **options: Any) -> Labeller:
    """Predict with transformers' pipeline."""
    import numpy as np
    from transformers import pipeline

    classify = pipeline("text-classification", model=tuned.merged(), tokenizer=tuned.tokenizer, device="cpu")
    number = {label: place for place, label in enumerate(tuned.labels)}
    return lambda texts: np.array([number[found["label"]] for found in classify(texts, truncation=True, **options)])


def sorted_labeller(tokenizer: Any, run: Callable[[Any], Any]) -> Labeller:
    """Sort by length, and pad each batch of 64 to its longest, as a careful user does with an exported model."""
    import numpy as np

    def label(texts: list[str]) -> Any:
        ids = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        labels = np.zeros(len(ids), dtype=np.int64)
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            longest = len(ids[rows[-1]])
            batch = np.zeros((len(rows), longest), dtype=np.int64)
            mask = np.zeros_like(batch)
            for place, row in enumerate(rows):
                batch[place, : len(ids[row])] = ids[row]
                mask[place, : len(ids[row])] = 1
            labels[rows] = run((batch, mask)).argmax(-1)
        return labels

    return label


def export(tuned: Any, folder: Path) -> Path:
    """Export the model as ONNX with free batch size and length."""
    import torch

    class Logits(torch.nn.Module):
        """The model with tensors as input and output."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            """Return the logits."""
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    path = folder / "model.onnx"
    merged = tuned.merged()
    merged.set_attn_implementation("eager")
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("length", max=512)}
    torch.onnx.export(
        Logits(merged).eval(),
        example,
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=(sizes, sizes),
        dynamo=True,
        external_data=False,
    )
    return path


def onnx_labeller(tuned: Any, folder: Path, *, int8: bool) -> Labeller:
    """Predict with ONNX Runtime."""
    import onnxruntime

    path = export(tuned, folder)
    if int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(str(path), str(folder / "int8.onnx"), weight_type=QuantType.QInt8)
        path = folder / "int8.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return sorted_labeller(
        tuned.tokenizer, lambda batch: session.run(None, {"input_ids": batch[0], "attention_mask": batch[1]})[0]
    )


def openvino_labeller(tuned: Any, folder: Path, *, int8: bool) -> Labeller:
    """Predict with OpenVINO, which chooses its own precision; in int8 with the products quantized as NNCF advises."""
    import openvino

    model = openvino.convert_model(str(export(tuned, folder)))
    if int8:
        import nncf
        import numpy as np

        found = [tuned.tokenizer(text)["input_ids"] for text in load().train.texts[:300]]
        rows = [[np.array([ids]), np.ones((1, len(ids)), dtype=np.int64)] for ids in found]
        model = nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows))
    compiled = openvino.Core().compile_model(model, "CPU")
    return sorted_labeller(tuned.tokenizer, lambda batch: compiled(list(batch))[0])


def ctranslate2_labeller(tuned: Any, folder: Path) -> Labeller:
    """Predict with CTranslate2 in int8, which has the encoder and its pooler but no head for classification."""
    import ctranslate2
    import numpy as np
    from ctranslate2.converters.transformers import TransformersConverter

    merged = tuned.merged()
    merged.bert.save_pretrained(folder / "bert")
    tuned.tokenizer.save_pretrained(folder / "bert")
    TransformersConverter(str(folder / "bert")).convert(str(folder / "converted"))
    threads = len(os.sched_getaffinity(0))
    encoder = ctranslate2.Encoder(str(folder / "converted"), compute_type="int8", intra_threads=threads)
    weight, bias = merged.classifier.weight.detach().numpy(), merged.classifier.bias.detach().numpy()

    def label(texts: list[str]) -> Any:
        ids = tuned.tokenizer(texts, truncation=True, max_length=128)["input_ids"]
        order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        labels = np.zeros(len(ids), dtype=np.int64)
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            pooled = np.array(encoder.forward_batch([ids[row] for row in rows]).pooler_output)
            labels[rows] = (pooled @ weight.T + bias).argmax(-1)
        return labels

    return label


LABELLERS: dict[str, Callable[[Any, Path], Labeller]] = {
    "emotune": partial(emotune_labeller, precision="auto"),
    "emotune-int8": partial(emotune_labeller, precision="int8"),
    "pipeline": pipeline_labeller,
    "pipeline-32": partial(pipeline_labeller, batch_size=32),
    "onnx": partial(onnx_labeller, int8=False),
    "onnx-int8": partial(onnx_labeller, int8=True),
    "openvino": partial(openvino_labeller, int8=False),
    "openvino-int8": partial(openvino_labeller, int8=True),
    "ctranslate2": ctranslate2_labeller,
}


def limit(model: str, precision: str) -> None:
    """Measure the rate of matrix products in the model's own shapes, and count the parameters of its layers."""
    import torch

    hidden, inner, layers = (384, 1536, 6) if model == "minilm" else (768, 3072, 12)
    say(ready=True)
    wait()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    rate = product_rate(dtype, [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)])
    say(gflops=rate, encoder_parameters=layers * (4 * hidden * hidden + 2 * hidden * inner))


def growth(model: str) -> None:
    """Measure the seconds of one epoch with 1, 2 and 4 times 2,000 rows."""
    import numpy as np

    import emotune

    data = load()
    base = load_base(model, data.labels)
    options = emotune.TrainingOptions(epochs=1)
    say(ready=True)
    wait()
    seconds = {}
    least = min(2000, len(data.train) // 4)
    rows = np.random.default_rng(0).permutation(len(data.train))
    few = replace(data, validation=data.validation.take(range(min(200, len(data.validation))), "validation"))
    for count in (least, least, 2 * least, 4 * least):  # the first warms up
        part = replace(few, train=data.train.take(rows[:count], "train"))
        started = time.perf_counter()
        emotune.finetune(base, part, emotune.LoRA(), options)
        seconds[str(count)] = time.perf_counter() - started
    say(seconds_by_rows=seconds)


def size() -> None:
    """Measure the seconds of one epoch with 2,000 rows for 3, 6 and 12 of MiniLM's layers, with random weights."""
    from transformers import BertConfig, BertForSequenceClassification

    import emotune

    data = load()
    base = load_base("minilm", data.labels)
    part = replace(
        data,
        train=data.train.take(range(min(2000, len(data.train))), "train"),
        validation=data.validation.take(range(min(200, len(data.validation))), "validation"),
    )
    say(ready=True)
    wait()
    seconds = {}
    for layers in (3, 3, 6, 12):  # the first warms up
        config = BertConfig(**{**base.model.config.to_dict(), "num_hidden_layers": layers})
        config.name_or_path = "layers"
        built = BertForSequenceClassification(config)
        built.name_or_path = "layers"
        started = time.perf_counter()
        emotune.finetune(
            replace(base, name="layers", model=built.eval()), part, emotune.LoRA(), emotune.TrainingOptions(epochs=1)
        )
        seconds[str(layers)] = time.perf_counter() - started
    say(seconds_by_layers=seconds)


def stream() -> None:
    """Measure the peak memory after predicting a stream of 10,000 and of 40,000 texts."""
    from itertools import cycle, islice

    import emotune

    data = load()
    base = load_base("minilm", data.labels)
    say(ready=True)
    wait()
    peaks = {}
    for texts in (10_000, 40_000):
        for _ in emotune.predict_stream(base, islice(cycle(data.test.texts), texts)):
            pass
        peaks[str(texts)] = peak()
    say(peak_by_texts=peaks)


def main() -> None:
    """Run the contender that the command line names."""
    job, name, model = sys.argv[1:]
    if job == "training" and name.startswith("emotune"):
        train_emotune(model, name)
    elif job == "training":
        train_trainer(model, name)
    elif job == "prediction":
        predict(model, name)
    elif job == "latency":
        latency(model, name)
    elif job == "tune":
        tune(model)
    elif job == "limit":
        limit(model, name)
    else:
        {"growth": lambda: growth(model), "size": size, "stream": stream}[job]()


if __name__ == "__main__":
    main()
