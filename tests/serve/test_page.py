"""The page in a real browser, clicked and typed through: with a mouse, with the keyboard alone, on a phone, in the dark."""

from __future__ import annotations

import csv
import io
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .folders import save_served
from .stand_in import LONGEST, Model, StandIn, refused

if TYPE_CHECKING:
    from emotune.data.dataset import TextDataset
    from emotune.folder.tuned import TunedClassifier
    from emotune.models.classifier import Classifier

pytestmark = pytest.mark.slow

HOSTILE = '<img src=x onerror="window.broken = 1"><script>window.broken = 1</script>'
HEBREW = "שלום עולם"


@pytest.fixture(scope="module")
def served(
    tiny_tuned: TunedClassifier,
    tiny_base: Classifier,
    tiny_data: TextDataset,
    tiny_bert: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StandIn]:
    """A running service of two models."""
    folder = save_served(tiny_tuned, tiny_base, tiny_data, tmp_path_factory.mktemp("served") / "tiny")
    plain = tiny_tuned.save(tmp_path_factory.mktemp("served") / "plain")
    models = {"tiny": Model.of("tiny", folder, tiny_bert), "plain": Model.of("plain", plain, tiny_bert)}
    with StandIn(models, base=tiny_bert).running() as running:
        yield running


@pytest.fixture
def service(served: StandIn) -> Iterator[StandIn]:
    """The service, as new."""
    served.asked.clear()
    served.paths.clear()
    yield served
    served.before = lambda body: None
    served.key = None


@contextmanager
def opened(browser: Any, service: StandIn, **options: Any) -> Iterator[Any]:
    """The loaded page; nothing may be asked of another host, and the browser may complain of nothing."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 900}} | options)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.expected_complaints = []
    page.set_default_timeout(60_000)
    page.goto(service.address)
    page.wait_for_selector("#bars .bar")
    yield page
    assert not [url for url in asked if not url.startswith((service.address, f"blob:{service.address}", "data:"))]
    assert not [line for line in complaints if not any(part in line for part in page.expected_complaints)]
    assert page.evaluate("window.broken") is None
    context.close()


def shown(page: Any) -> dict[str, str]:
    """The probabilities on the page by label, as texts."""
    return dict(
        page.locator("#bars .bar").evaluate_all(
            "bars => bars.map(bar => [bar.querySelector('.name').textContent, bar.querySelector('.after').textContent])"
        )
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def type_message(page: Any, text: str) -> None:
    page.fill("#message", text)
    page.wait_for_function(
        "text => document.getElementById('marked').textContent === text "
        "&& document.getElementById('words').getAttribute('aria-busy') !== 'true'",
        arg=text,
    )


def test_shows_probabilities_words_and_the_label(browser: Any, service: StandIn) -> None:
    text = "bada fede, some words"
    expected = service.models["tiny"].predictor.predict([text])
    with opened(browser, service) as page:
        assert page.title() == "tiny · emotune"
        assert set(shown(page)) == set(expected.label_names)
        type_message(page, text)
        probabilities = dict(zip(expected.label_names, expected.probabilities[0], strict=True))
        assert shown(page) == {label: percent(share) for label, share in probabilities.items()}
        assert page.inner_text("#label") == expected.labels[0]
        assert page.inner_text("#share") == percent(probabilities[expected.labels[0]])
        assert page.locator("#bars input:checked").input_value() == expected.labels[0]
        assert f"for {expected.labels[0]}." in page.inner_text("#caption")
        widths = page.locator(".fill.second").evaluate_all("fills => fills.map(fill => parseFloat(fill.style.width))")
        assert widths == pytest.approx([100 * share for share in probabilities.values()], abs=1e-3)
        page.wait_for_function("() => document.getElementById('said').textContent.includes('%')")
        assert expected.labels[0] in page.inner_text("#said")


def test_examples_fill_the_field_and_hide(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        example = page.locator("#examples button").first
        text = example.inner_text()
        example.click()
        page.wait_for_selector("#words:not([hidden])")
        assert page.input_value("#message") == text
        assert not page.is_visible("#examples")
        page.fill("#message", " ")
        assert page.is_visible("#examples")
        assert not page.is_visible("#verdict")
        assert set(shown(page).values()) == {""}


def test_words_of_a_chosen_label(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        type_message(page, "bada fede lines")
        page.click("#bars .bar:has([value=fear])")
        page.wait_for_function("() => document.getElementById('caption').textContent.includes('for fear.')")
        page.uncheck("#explain")
        assert not page.is_visible("#words")
        assert page.locator("#bars input:enabled").count() == 0


def test_base_beside_the_tuned_model_says_that_it_is_chance(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        type_message(page, "bada fede lines")
        assert "/page/tiny/base" not in service.paths
        page.check("#compare")
        page.wait_for_selector("#legend:not([hidden])")
        assert "chance" in page.inner_text("#chance")
        assert "tiny-bert" in page.inner_text("#legend")
        before = page.locator(".figures .before").all_inner_texts()
        shares = [float(text.split("\u00a0")[0]) for text in before]
        assert sum(shares) == pytest.approx(100, abs=0.5)
        assert before != list(shown(page).values())
        page.uncheck("#compare")
        assert not page.is_visible("#legend")
        assert not page.is_visible("#chance")


def test_threshold_takes_the_label_away(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        type_message(page, "bada lines")
        share = float(page.inner_text("#share").split("\u00a0")[0])
        label = page.inner_text("#label")
        asked = len(service.asked)
        page.locator("#least").fill(str(int(share)))
        assert page.inner_text("#label") == label
        page.locator("#least").fill(str(int(share) + 1))
        assert page.inner_text("#label") == "no label"
        assert f"{label}, has" in page.inner_text("#unsure")
        assert len(service.asked) == asked
        assert page.inner_text("#least-shown") == f"{int(share) + 1}\u00a0%"
        line = page.inner_text("#answered")
        page.locator("#least").fill("99")
        assert page.inner_text("#answered") != line
        assert "36 test rows" in line


def test_calibrated_probabilities(browser: Any, service: StandIn) -> None:
    scaled = service.models["tiny"].calibrated
    assert scaled is not None
    expected = scaled.predict(["bada lines"])
    with opened(browser, service) as page:
        type_message(page, "bada lines")
        label = page.inner_text("#label")
        page.check("#calibrated")
        page.wait_for_function(
            "text => document.getElementById('share').textContent === text", arg=percent(expected.probabilities.max())
        )
        assert page.inner_text("#label") == label
        go = threading.Event()
        service.before = waiting(go, lambda body: True)
        page.select_option("#model", "plain")
        page.wait_for_function("() => document.title === 'plain · emotune'")
        assert page.inner_text("#share") == ""  # no number of the other model
        assert not page.is_visible("#verdict")
        go.set()
        assert not page.is_visible("#calibrated-setting")
        assert not page.is_visible("#report")
        page.wait_for_function("() => document.getElementById('share').textContent !== ''")
        assert service.asked[-1]["calibrated"] is False
        assert page.title() == "plain · emotune"


def waiting(go: threading.Event, when: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], None]:
    """Keep some requests waiting."""

    def wait(body: dict[str, Any]) -> None:
        if when(body):
            go.wait(30)

    return wait


def test_stale_answers_are_dropped(browser: Any, service: StandIn) -> None:
    """The answer to the first message comes after that to the second."""
    go = threading.Event()
    service.before = waiting(go, lambda body: body["texts"] == ["bada"])
    with opened(browser, service) as page:
        page.fill("#message", "bada")
        page.wait_for_selector("#result[aria-busy=true]")
        type_message(page, "fede lines and more")
        found = shown(page)
        go.set()
        page.wait_for_timeout(500)
        assert shown(page) == found
        assert page.get_attribute("#result", "aria-busy") == "false"


def test_typing_asks_when_it_pauses(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        page.locator("#message").press_sequentially("bada fede lines", delay=20)
        page.wait_for_selector("#words:not([hidden])")
        assert len(service.asked) < 8
        assert service.asked[-1]["texts"] == ["bada fede lines"]


def test_errors_are_shown_with_a_way_on(browser: Any, service: StandIn) -> None:
    service.before = lambda body: refused(422, "too_long", "This text is too long for this test.")
    with opened(browser, service) as page:
        page.expected_complaints.append("422")
        page.fill("#message", "bada")
        page.wait_for_selector("#problem:not([hidden])")
        assert "too long for this test" in page.inner_text("#problem")
        service.before = lambda body: None
        page.click("#problem button")
        page.wait_for_selector("#words:not([hidden])")
        assert not page.is_visible("#problem")


def test_a_service_that_is_gone(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        page.expected_complaints.append("Failed to load resource")
        page.route("**/predict", lambda route: route.abort())
        page.fill("#message", "bada")
        page.wait_for_selector("#problem:not([hidden])")
        assert "cannot be reached" in page.inner_text("#problem")
        page.unroute("**/predict")
        page.click("#problem button")
        page.wait_for_selector("#words:not([hidden])")


def test_a_busy_service_is_asked_again(browser: Any, service: StandIn) -> None:
    answers = iter([refused(429, "overloaded", "Busy.", {"Retry-After": "1"})])
    service.before = lambda body: next(answers, None)
    with opened(browser, service) as page:
        page.expected_complaints.append("429")
        type_message(page, "bada")
        assert len(service.asked) == 2


def test_key_is_asked_for_and_kept_in_memory(browser: Any, service: StandIn) -> None:
    service.key = "a-secret-key"
    context = browser.new_context()
    page = context.new_page()
    page.goto(service.address)
    page.wait_for_selector("#key-dialog[open]")
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('key-hint').textContent.includes('refused')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#problem:not([hidden])")
    page.click("#problem button")
    page.wait_for_selector("#key-dialog[open]")
    page.keyboard.type("a-secret-key")
    page.keyboard.press("Enter")
    page.wait_for_selector("#bars .bar")
    type_message(page, "bada lines")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert "secret" not in page.content()
    with page.expect_download() as download:
        page.click("#report a")
    assert "The report of the tiny model" in Path(download.value.path()).read_text(encoding="utf-8")
    page.reload()
    page.wait_for_selector("#key-dialog[open]")
    context.close()


def test_hostile_text_and_labels_stay_text(browser: Any, service: StandIn) -> None:
    model = service.models["tiny"]
    names = dict(zip(model.predictor.labels, [HOSTILE, *"abcde"], strict=True))

    def answer(body: dict[str, Any]) -> Any:
        from fastapi.responses import JSONResponse

        probabilities = dict.fromkeys(names.values(), 0.02) | {HOSTILE: 0.9}
        one = {"label": HOSTILE, "probability": 0.9, "probabilities": probabilities, "truncated": True}
        return JSONResponse(
            {"model": HOSTILE, "labels": list(names.values()), "predictions": [one] * len(body["texts"])}
        )

    info = {**model.info, "name": "hostile", "labels": list(names.values()), "base": HOSTILE}
    service.models["hostile"] = replace(model, name="hostile", info=info)
    service.before = answer
    try:
        with opened(browser, service) as page:
            page.expected_complaints.append("422")  # the words of a label that the model does not have
            page.select_option("#model", "hostile")
            page.fill("#message", HOSTILE)
            page.wait_for_selector("#verdict:visible")
            assert page.inner_text("#label") == HOSTILE
            assert HOSTILE in page.inner_text("#about")
            page.click("#tab-many")
            page.fill("#lines", HOSTILE)
            page.click("#start")
            page.wait_for_selector("#labelled:not([hidden])")
            assert page.locator("#table tbody tr td").all_inner_texts()[:2] == [HOSTILE, HOSTILE]
            page.wait_for_timeout(300)
    finally:
        del service.models["hostile"]


def test_right_to_left_text_and_emoji(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        type_message(page, f"{HEBREW} 😀")
        for place in ("#message", "#marked"):
            assert page.locator(place).evaluate("e => getComputedStyle(e).direction") == "rtl"
        type_message(page, "plain words")
        assert page.locator("#message").evaluate("e => getComputedStyle(e).direction") == "ltr"


def test_a_long_message_is_predicted_and_not_explained(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        page.fill("#message", "bada " * 500)
        page.wait_for_function("() => document.getElementById('caption').textContent.includes('2,500')")
        assert "cut to 32 tokens" in page.inner_text("#cut")
        assert page.locator("#marked mark").count() == 0


def test_report_is_one_click_away(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        with page.expect_popup() as popup:
            page.click("#report a")
        report = popup.value
        report.wait_for_load_state()
        assert report.inner_text("h1") == "The report of the tiny model"
        width = report.locator(".bar .second").first.evaluate("e => e.getBoundingClientRect().width")
        assert width > 0


def label_lines(page: Any, text: str) -> None:
    page.click("#tab-many")
    page.fill("#lines", text)
    page.click("#start")
    page.wait_for_selector("#labelled:not([hidden])")


def downloaded(page: Any) -> tuple[str, str]:
    with page.expect_download() as download:
        page.click("#download")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes().decode("utf-8")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_many_lines_give_a_table_and_a_file(browser: Any, service: StandIn) -> None:
    lines = [f"bada line {number}" for number in range(70)]
    expected = service.models["tiny"].predictor.predict(lines)
    with opened(browser, service) as page:
        label_lines(page, "\n".join([*lines[:40], "", "  ", *lines[40:]]))
        assert [len(body["texts"]) for body in service.asked] == [32, 32, 6]
        assert "70 messages labelled" in page.inner_text("#many-said")
        cells = page.locator("#table tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        assert [cell[:2] for cell in cells] == [list(pair) for pair in zip(lines, expected.labels, strict=True)]
        page.check("#each")
        name, text = downloaded(page)
        assert name == "messages_labelled.csv"
        rows = read(text)
        assert [row["text"] for row in rows] == lines
        assert [row["label"] for row in rows] == list(expected.labels)
        for row, probabilities in zip(rows, expected.probabilities, strict=True):
            assert float(row["probability"]) == pytest.approx(probabilities.max(), abs=1e-6)
            assert [float(row[f"p_{label}"]) for label in expected.label_names] == pytest.approx(
                probabilities.tolist(), abs=1e-6
            )
        counts = page.locator("#shares tr").evaluate_all("rows => rows.map(row => parseInt(row.cells[2].textContent))")
        assert sum(counts) == 70


def test_pandas_reads_the_file(browser: Any, service: StandIn, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    with opened(browser, service) as page:
        label_lines(page, 'bada one\nfede, two\n"quoted" three')
        path = tmp_path / "labelled.csv"
        path.write_bytes(downloaded(page)[1].encode())
        table = pandas.read_csv(path)
        assert list(table.columns) == ["text", "label", "probability"]
        assert list(table.text) == ["bada one", "fede, two", '"quoted" three']


def test_a_dropped_file_keeps_its_columns(browser: Any, service: StandIn) -> None:
    table = [
        ["id", "message", "label"],
        ["1", 'bada "quoted", with\na line end', "old"],
        ["2", "", "old"],
        ["3", "fede " + HEBREW, "=1+1"],
        ["4", "x" * (LONGEST + 1), "-2"],
    ]
    text = io.StringIO()
    csv.writer(text).writerows(table)
    with opened(browser, service) as page:
        page.expected_complaints.append("422")
        page.click("#tab-many")
        drop(page, "odd name.csv", text.getvalue())
        page.wait_for_selector("#opened:not([hidden])")
        assert page.inner_text("#file-name") == "odd name.csv"
        assert page.inner_text("#file-rows") == "4 rows"
        assert page.locator("#column").evaluate("e => e.selectedOptions[0].textContent") == "message"
        assert page.is_checked("#header")
        assert page.locator("#preview thead").inner_text().split() == table[0]
        page.click("#start")
        page.wait_for_selector("#labelled:not([hidden])")
        assert "2 messages labelled. Left out: 2 messages" in page.inner_text("#many-said")
        name, content = downloaded(page)
        assert name == "odd name_labelled.csv"
        rows = read(content)
        assert list(rows[0]) == ["id", "message", "label", "label_2", "probability", "note"]
        assert [[row["id"], row["message"]] for row in rows] == [row[:2] for row in table[1:]]
        assert [row["label"] for row in rows] == ["old", "old", "'=1+1", "'-2"]
        assert [bool(row["label_2"]) for row in rows] == [True, False, True, False]
        assert "blank" in rows[1]["note"]
        assert f"{LONGEST:,}" in rows[3]["note"]
        page.uncheck("#header")
        assert page.inner_text("#file-rows") == "5 rows"
        page.click("#remove")
        assert page.is_visible("#lines")


def drop(page: Any, name: str, content: str | list[int]) -> None:
    transfer = page.evaluate_handle(
        """([name, content]) => {
          const transfer = new DataTransfer();
          const data = typeof content === "string" ? content : new Uint8Array(content);
          transfer.items.add(new File([data], name));
          return transfer;
        }""",
        [name, content],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


@pytest.mark.parametrize(
    ("name", "content", "facts"),
    [
        ("latin.csv", [0x74, 0xE9, 0x0A], ["UTF-8"]),
        ("zero.csv", [0x61, 0x00, 0x62], ["zero bytes"]),
        ("open.csv", 'text\n"never closed\nbada\n', ["Row 2", "quote"]),
        ("empty.csv", "\n\n", ["empty.csv", "no messages"]),
    ],
)
def test_bad_files_are_refused(browser: Any, service: StandIn, name: str, content: Any, facts: list[str]) -> None:
    with opened(browser, service) as page:
        page.click("#tab-many")
        drop(page, name, content)
        page.wait_for_selector("#problem:not([hidden])")
        for fact in facts:
            assert fact in page.inner_text("#problem")
        assert page.is_visible("#paste")


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.tsv", 'text\tn\n"bada\t1\nfede"\t2\n', ['"bada', 'fede"']),
        ("b.tsv", 'text\tn\n"ba\tda"\t1\n', ["ba\tda"]),
        ("c.csv", "n;text\n1;bada, fede\n2;lines\n", ["bada, fede", "lines"]),
        ("d.txt", "bada, one\r\n\r\nfede two\n", ["bada, one", "fede two"]),
        ("e.csv", [0xFF, 0xFE, *"text\nbadé\n".encode("utf-16-le")], ["badé"]),
        ("f.csv", "\ufefftext,n\nbada,1\n", ["bada"]),
        ("g.csv", "bada one\nfede two\n", ["bada one", "fede two"]),
    ],
)
def test_files_of_every_kind(browser: Any, service: StandIn, name: str, content: Any, texts: list[str]) -> None:
    with opened(browser, service) as page:
        page.click("#tab-many")
        drop(page, name, content)
        page.wait_for_selector("#opened:not([hidden])")
        page.click("#start")
        page.wait_for_selector("#labelled:not([hidden])")
        assert [text for body in service.asked for text in body["texts"]] == texts


def test_threshold_relabels_the_table_without_asking(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        label_lines(page, "bada\nfede")
        asked = len(service.asked)
        page.locator("#least").fill("99")
        assert "2 of them have no label" in page.inner_text("#many-said")
        assert page.locator("#table .unlabelled").count() == 2
        assert [row["label"] for row in read(downloaded(page)[1])] == ["", ""]
        assert len(service.asked) == asked


def test_stops_and_goes_on(browser: Any, service: StandIn) -> None:
    go = threading.Event()
    service.before = waiting(go, lambda body: len(service.asked) == 2)
    lines = [f"bada {number}" for number in range(70)]
    with opened(browser, service) as page:
        page.click("#tab-many")
        page.fill("#lines", "\n".join(lines))
        page.click("#start")
        page.wait_for_function("() => document.getElementById('rate').textContent.startsWith('32 of 70')")
        assert page.evaluate("document.activeElement.id") == "cancel"
        page.click("#cancel")
        page.wait_for_selector("#labelled:not([hidden])")
        assert "32 messages labelled, 38 not yet" in page.inner_text("#many-said")
        go.set()
        page.click("#start")
        page.wait_for_function("() => document.getElementById('many-said').textContent.startsWith('70 messages')")
        assert [body["texts"][0] for body in service.asked] == [lines[0], lines[32], lines[32], lines[64]]


def test_a_failure_in_the_middle_keeps_what_is_done(browser: Any, service: StandIn) -> None:
    service.before = lambda body: refused(500, "internal", "It broke.") if len(service.asked) == 2 else None
    with opened(browser, service) as page:
        page.expected_complaints.append("500")
        label_lines(page, "\n".join(f"bada {number}" for number in range(40)))
        assert "It broke." in page.inner_text("#problem")
        assert "32 messages labelled, 8 not yet" in page.inner_text("#many-said")
        page.click("#problem button")
        page.wait_for_function("() => document.getElementById('many-said').textContent.startsWith('40 messages')")


def test_works_with_the_keyboard_alone(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        press = page.keyboard.press

        def focused() -> str:
            return str(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.value || document.activeElement.textContent.trim()"
                )
            )

        def outlined() -> bool:
            return bool(
                page.evaluate(
                    "(e => getComputedStyle(e.type === 'radio' ? e.closest('.bar') : e).outlineStyle !== 'none')(document.activeElement)"
                )
            )

        page.locator(".skip").focus()
        assert page.locator(".skip").bounding_box()["y"] >= 0
        press("Enter")
        press("Tab")
        assert focused() == "tab-one"
        press("Tab")
        assert focused() == "message"
        page.keyboard.type("bada lines")
        page.wait_for_selector("#words:not([hidden])")
        label = page.inner_text("#label")
        press("Tab")
        assert focused() == label
        assert outlined()
        press("ArrowDown")
        chosen = focused()
        assert chosen != label
        page.wait_for_function(
            "label => document.getElementById('caption').textContent.includes(`for ${label}.`)", arg=chosen
        )
        order = []
        for _ in range(4):
            press("Tab")
            order.append(focused())
            assert outlined()
        assert order == ["least", "calibrated", "compare", "explain"]
        press("Space")
        assert not page.is_visible("#words")
        page.locator("#least").focus()
        for _ in range(99):
            press("ArrowRight")
        assert page.inner_text("#label") == "no label"
        press("Home")
        page.locator("#tab-one").focus()
        press("ArrowRight")
        assert focused() == "tab-many"
        press("Tab")
        assert focused() == "lines"
        page.keyboard.type("bada")
        press("Enter")
        page.keyboard.type("fede")
        press("Tab")
        assert focused() == "choose"
        press("Tab")
        assert focused() == "start"
        press("Enter")
        page.wait_for_selector("#labelled:not([hidden])")
        assert focused() == "start"
        press("Tab")
        press("Tab")
        assert focused() == "download"
        with page.expect_download():
            press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1100])
def test_fits_every_width(browser: Any, service: StandIn, width: int, scheme: str) -> None:
    with opened(browser, service, viewport={"width": width, "height": 740}, color_scheme=scheme) as page:

        def fits() -> bool:
            return bool(page.evaluate("document.documentElement.scrollWidth") <= width)

        assert fits()
        type_message(page, "w" * 300 + " bada " + HEBREW)
        page.check("#compare")
        page.wait_for_selector("#legend:not([hidden])")
        page.locator("#least").fill("50")
        assert fits()
        page.click("#tab-many")
        drop(page, "n" * 90 + ".csv", "text,other\n" + "w" * 200 + "," + "v" * 200 + "\nbada,1\n")
        page.wait_for_selector("#opened:not([hidden])")
        assert fits()
        page.click("#start")
        page.wait_for_selector("#labelled:not([hidden])")
        assert fits()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, service: StandIn, scheme: str) -> None:
    """Contrast of every visible text by WCAG's formula: at least 4.5."""
    with opened(browser, service, color_scheme=scheme) as page:
        type_message(page, "bada fede lines")
        page.check("#compare")
        page.wait_for_selector("#legend:not([hidden])")
        assert low_contrasts(page) == []
        page.locator("#least").fill("99")
        assert low_contrasts(page) == []
        label_lines(page, "bada\nfede")
        assert low_contrasts(page) == []


def low_contrasts(page: Any) -> list[str]:
    """Texts with less contrast than 4.5; translucent grounds are laid over those below them."""
    page.wait_for_timeout(400)
    found = page.evaluate("""() => {
      const read = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number); return { rgb: n.slice(0, 3), alpha: n[3] ?? 1 }; };
      const luminance = (rgb) => {
        const [r, g, b] = rgb.map((part) => { const c = part / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (e) => {
        const layers = [];
        for (let at = e; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
        const over = (below, { rgb, alpha }) => below.map((part, i) => part * (1 - alpha) + rgb[i] * alpha);
        return layers.reverse().reduce(over, [255, 255, 255]);
      };
      const low = [];
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode, e = node.parentElement;
        if (!node.data.trim() || !e.checkVisibility() || e.closest(".visually-hidden, :disabled, script, noscript")) continue;
        const [one, other] = [luminance(read(getComputedStyle(e).color).rgb), luminance(ground(e))];
        const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (contrast < 4.5) low.push(`${node.data.trim()}: ${contrast.toFixed(2)}`);
      }
      return low;
    }""")
    return list(found)


def test_nothing_moves_where_motion_is_not_wanted(browser: Any, service: StandIn) -> None:
    for motion, seconds in (("no-preference", 0.18), ("reduce", 0.0)):
        with opened(browser, service, reduced_motion=motion) as page:
            found = page.locator(".fill.second").first.evaluate(
                "e => parseFloat(getComputedStyle(e).transitionDuration)"
            )
            assert found == seconds


def test_every_control_has_a_name_and_regions_are_told(browser: Any, service: StandIn) -> None:
    with opened(browser, service) as page:
        type_message(page, "bada")
        for tab in ("one", "many"):
            page.click(f"#tab-{tab}")
            nameless = page.evaluate(
                """() => [...document.querySelectorAll("button, input, select, textarea, [role=region]")]
                  .filter((e) => e.checkVisibility())
                  .filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label"))).map((e) => e.outerHTML)"""
            )
            assert nameless == []
        assert page.locator("h1").count() == 1
        assert page.get_attribute("html", "lang") == "en"
        assert page.locator("[role=status]").count() >= 2
        assert page.locator("[role=alert]").count() == 1


def test_csv_is_read_as_python_reads_it(browser: Any, service: StandIn) -> None:
    """Random tables, written by Python and read by the page, and the other way round."""
    generator = random.Random(0)
    pieces = ['"', ",", "\n", "\r\n", "a", "b c", "'", ";", "é", " ", "\t", "=", "😀", ""]
    tables = [
        [
            ["".join(generator.choices(pieces, k=generator.randrange(6))) for _ in range(width)]
            for _ in range(generator.randrange(1, 6))
        ]
        for width in (2, 3, 4)
        for _ in range(60)
    ]
    with opened(browser, service) as page:
        for table in tables:
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
                text = io.StringIO()
                csv.writer(text, quoting=quoting).writerows(table)
                call = "async (text) => (await import('/static/csv.js')).parse(text, ',')"
                assert page.evaluate(call, text.getvalue()) == table
        written = page.evaluate("async (tables) => tables.map((await import('/static/csv.js')).write)", tables)
        for table, text in zip(tables, written, strict=True):
            safe = [
                [f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and cell else cell for cell in row]
                for row in table
            ]
            assert list(csv.reader(io.StringIO(text, newline=""))) == safe


def test_many_labels_are_folded(browser: Any, service: StandIn) -> None:
    from fastapi.responses import JSONResponse

    labels = [f"label {number}" for number in range(30)]

    def answer(body: dict[str, Any]) -> Any:
        probabilities = {label: (0.5 if label == "label 20" else 0.5 / 29) for label in labels}
        return JSONResponse(
            {
                "predictions": [
                    {"label": "label 20", "probability": 0.5, "probabilities": probabilities, "truncated": False}
                ]
            }
        )

    model = service.models["tiny"]
    service.models["wide"] = replace(model, name="wide", info={**model.info, "name": "wide", "labels": labels})
    service.before = answer
    try:
        with opened(browser, service) as page:
            page.expected_complaints.append("422")
            page.select_option("#model", "wide")
            page.uncheck("#explain")
            page.fill("#message", "bada")
            page.wait_for_selector("#more:visible")
            assert page.locator("#bars .bar:visible").count() == 10
            assert page.locator("#bars .bar .name").first.inner_text() == "label 20"
            page.click("#more button")
            assert page.locator("#bars .bar:visible").count() == 30
    finally:
        del service.models["wide"]


def test_a_prediction_with_several_labels_is_shown_with_all_of_them(browser: Any, service: StandIn) -> None:
    """As tasks may have them whose probabilities do not sum to 1."""
    from fastapi.responses import JSONResponse

    labels = service.models["tiny"].predictor.labels
    probabilities = dict.fromkeys(labels, 0.1) | {"joy": 0.9, "love": 0.8}
    one = {"label": ["joy", "love"], "probability": 0.9, "probabilities": probabilities, "truncated": False}
    service.before = lambda body: JSONResponse({"predictions": [one]})
    with opened(browser, service) as page:
        page.fill("#message", "bada")
        page.wait_for_selector("#verdict:visible")
        assert page.inner_text("#label") == "joy, love"
        page.locator("#least").fill("85")
        assert page.inner_text("#label") == "joy"


def test_service_without_models_and_models_with_odd_names(browser: Any, service: StandIn, tmp_path: Path) -> None:
    with StandIn({}).running() as empty:
        context = browser.new_context()
        page = context.new_page()
        page.goto(empty.address)
        page.wait_for_selector("#problem:not([hidden])")
        assert "no model" in page.inner_text("#problem")
        context.close()
    model = service.models["tiny"]
    name = "a b.c-d_é"
    info = {**model.info, "name": name}
    with (
        StandIn({name: replace(model, name=name, info=info)}, base=service.base).running() as odd,
        opened(browser, odd) as page,
    ):
        type_message(page, "bada")
        assert page.title() == f"{name} · emotune"
