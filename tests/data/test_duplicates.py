"""Repeats are found by kind, against a plain comparison of all pairs, and in time that grows with the rows."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from emotune.data.duplicates import _LONGEST_KEPT, LEAST_WORDS, _within, find_duplicates, words
from emotune.data.load import load_data

LONG = "i could not believe how kind the nurse was to my old mother today"


def same(texts: list[str], kind: str) -> bool:
    """Whether all texts are one group."""
    return len(set(getattr(find_duplicates(texts), kind).tolist())) == 1


def test_words_are_without_case_and_punctuation() -> None:
    assert words("Don't STOP, me-now!! (50 %)") == ["dont", "stop", "me", "now", "50"]
    assert words("Don\u2019t") == words("dont")
    assert words("ÜBER Straße") == ["über", "strasse"]
    assert words("...") == []


def test_words_are_the_same_in_long_chunks_and_short_ones() -> None:
    parts = ["It's", "GREAT", "\u2665", "caf\u00e9", "Stra\u00dfe", "7"] * 4
    long = ",".join(parts)
    assert len(long) > _LONGEST_KEPT > max(map(len, parts))
    assert words(long) == words(" ".join(parts)) == ["its", "great", "\u2665", "caf\u00e9", "strasse", "7"] * 4


@pytest.mark.parametrize(
    ("other", "exact", "trivial", "near"),
    [
        (LONG, True, True, True),
        (LONG.upper(), False, True, True),
        (LONG.replace(" ", "  ") + "!!!", False, True, True),
        (LONG.replace("kind", "gentle"), False, False, True),
        (LONG.replace("old ", ""), False, False, True),
        (LONG + " again", False, False, True),
        ("well " + LONG, False, False, True),
        (LONG.replace("kind", "gentle").replace("old", "dear").replace("believe", "see"), False, False, False),
        ("the weather was fine and we went out to swim in the cold lake", False, False, False),
    ],
)
def test_kinds(other: str, exact: bool, trivial: bool, near: bool) -> None:
    found = [same([LONG, other], kind) for kind in ("exact", "trivial", "near")]
    assert found == [exact, trivial, near]


def test_one_word_makes_a_short_text_another() -> None:
    assert not same(["i feel happy today", "i feel sad today"], "near")
    short = " ".join(f"w{i}" for i in range(LEAST_WORDS))
    assert same([short, short.replace("w3", "x")], "near")
    assert not same([short.rsplit(" ", 1)[0], short.rsplit(" ", 1)[0].replace("w3", "x")], "near")


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("RT @user: " + LONG, LONG, True),
        ("RT @user: yes of course", "yes of course", True),  # a marker of copies counts at any length
        ('"rt @one : RT @two ' + LONG, LONG, True),
        ("@user_1 @you " + LONG, LONG, True),
        (LONG + " https://t.co/aB3xY www.example.org", LONG, True),
        (LONG + " http", LONG + " HTTPURL", True),
        ("@user yes of course", "@other yes of course", False),
        ("mail me@example.org for it", "mail me for it", False),
        ("RT this if you like it", "this if you like it", False),
        ("RT @user:", "RT @other:", False),
        ("@a", "@b", False),
        ("RT @user: " + LONG.replace("kind", "knid").replace("mother", "mothr"), LONG, True),
        (LONG.replace("could not", "coudl nto"), LONG, True),
        (LONG.replace("could not", "couldnot").replace("mother", "mothers"), LONG, True),
        (LONG.replace("kind", "knd").replace("mother", "mothr").replace("nurse", "nurs"), LONG, False),
        ("i feel hapy tody yes", "i feel happy today yes", False),
        ("i feel hapy for you tody", "i feel happy for you today", False),
        ("i feel hapy for you both tody", "i feel happy for you both today", True),
        ("i like my job and i love my life", "i hate my job and i fear my life", False),
        ("we are not happy with the food and not with the room", "we are happy with the food and with the room", False),
    ],
)
def test_marks_of_tweets_and_typing_errors(one: str, other: str, near: bool) -> None:
    assert same([one, other], "near") is near
    assert not same([one, other], "trivial")


def distance(one: str, other: str) -> int:
    """The restricted Damerau-Levenshtein distance by its table."""
    table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    table[:, 0], table[0] = np.arange(len(one) + 1), np.arange(len(other) + 1)
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            change = table[i - 1, j - 1] + (one[i - 1] != other[j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, change)
            if i > 1 and j > 1 and one[i - 2 : i] == other[j - 1] + other[j - 2]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return int(table[-1, -1])


def test_typing_errors_are_counted_as_the_table_counts_them() -> None:
    generator = random.Random(0)
    seen = set()
    for _ in range(3000):
        one = "".join(generator.choices("ab ", k=generator.randint(0, 7)))
        other = "".join(generator.choices("ab ", k=generator.randint(0, 7)))
        most = generator.randint(0, 3)
        seen.add(_within(one, other, most))
        assert _within(one, other, most) == (distance(one, other) <= most), (one, other, most)
    assert seen == {True, False}


def typing_error(generator: random.Random, text: str) -> str:
    """A letter changed, left out, added, or swapped with the next."""
    while True:
        place = generator.randrange(len(text))
        here, rest = text[place], text[place + 1 :]
        if not here.isalpha():
            continue
        letter = generator.choice(string.ascii_lowercase)
        swapped = rest[:1] + here + rest[1:] if rest[:1].isalpha() else letter + rest
        changed = text[:place] + generator.choice([letter + rest, rest, letter + here + rest, swapped])
        if words(changed) != words(text):
            return changed


def word_changed(generator: random.Random, text: str) -> str:
    parts = text.split()
    parts[generator.randrange(len(parts))] = f"zz{generator.randrange(1000)}"
    return " ".join(parts)


PLANTED: dict[str, tuple[Callable[[random.Random, str], str], float]] = {
    "one typing error": (typing_error, 0.98),
    "two typing errors": (lambda rng, text: typing_error(rng, typing_error(rng, text)), 0.9),
    "a retweet marker": (lambda _, text: "RT @some_user: " + text, 1.0),
    "a retweet marker and two typing errors": (
        lambda rng, text: "RT @some_user: " + typing_error(rng, typing_error(rng, text)),
        0.9,
    ),
    "two users named": (lambda _, text: "@someone @another " + text, 1.0),
    "an address": (lambda _, text: text + " https://t.co/aB3xY", 1.0),
    "one word": (word_changed, 0.98),
}


@pytest.mark.parametrize("least", [LEAST_WORDS, 2 * LEAST_WORDS])
@pytest.mark.parametrize("kind", PLANTED)
def test_finds_planted_near_repeats_of_the_sample_and_nothing_else(kind: str, least: int) -> None:
    generator = random.Random(0)
    texts = list(load_data("bundled:sample").train.texts)
    able = [row for row, text in enumerate(texts) if least <= len(words(text)) < 2 * least]
    chosen = generator.sample(able, min(150, len(able)))
    change, recall = PLANTED[kind]
    near = find_duplicates([*texts, *(change(generator, texts[row]) for row in chosen)]).near
    found = sum(near[len(texts) + number] == row for number, row in enumerate(chosen))
    assert found >= recall * len(chosen)
    assert np.array_equal(near[: len(texts)], np.arange(len(texts)))


def test_longer_texts_may_differ_in_more_words() -> None:
    text = " ".join(f"word{i}" for i in range(40))
    assert same([text, text.replace("word3 ", "other ").replace("word30 ", "more ")], "near")


def test_texts_without_words_stand_for_themselves() -> None:
    found = find_duplicates(["!!!", "???", "!!!", ":)"])
    assert found.trivial.tolist() == [0, 1, 0, 3]


def test_groups_are_named_by_their_first_text() -> None:
    found = find_duplicates(["a b", LONG, "A b", LONG + "!", "c"])
    assert found.exact.tolist() == [0, 1, 2, 3, 4]
    assert found.trivial.tolist() == [0, 1, 0, 1, 4]
    assert found.near.tolist() == [0, 1, 0, 1, 4]


def one_word_apart(one: list[str], other: list[str]) -> bool:
    """By trying every word: changed, added or left out."""
    if max(len(one), len(other)) < LEAST_WORDS:
        return False
    versions = {tuple(one[:i] + one[i + 1 :]) for i in range(len(one))} | {tuple(one)}
    if len(one) == len(other):
        return bool(versions & {tuple(other[:i] + other[i + 1 :]) for i in range(len(other))})
    return tuple(other) in versions if len(other) < len(one) else one_word_apart(other, one)


def test_is_what_comparing_all_pairs_finds() -> None:
    generator = random.Random(0)
    texts = []
    for _ in range(60):
        text = [generator.choice("abcdefgh") for _ in range(generator.randint(5, 10))]
        texts.append(text)
        for _ in range(2):
            changed = list(text)
            place = generator.randrange(len(changed))
            if generator.random() < 0.5:
                changed[place] = generator.choice("abcdefghxyz")
            else:
                del changed[place]
            texts.append(changed)
    parent = list(range(len(texts)))

    def root(text: int) -> int:
        while parent[text] != text:
            text = parent[text]
        return text

    for one, other in combinations(range(len(texts)), 2):
        if texts[one] == texts[other] or one_word_apart(texts[one], texts[other]):
            parent[max(root(one), root(other))] = min(root(one), root(other))
    assert find_duplicates([" ".join(text) for text in texts]).near.tolist() == [root(i) for i in range(len(texts))]


@pytest.mark.slow
def test_a_thousand_alike_cost_no_more_than_a_thousand_apart() -> None:
    generator = random.Random(1)
    apart = [" ".join(generator.choices([f"v{i}" for i in range(5000)], k=20)) for _ in range(10_000)]
    started = time.process_time()
    find_duplicates(apart)
    first = time.process_time() - started
    started = time.process_time()
    found = find_duplicates([f"{LONG} number {i}" for i in range(10_000)])
    assert time.process_time() - started < 3 * first + 1
    assert len(set(found.near.tolist())) == 1


CHINESE = "我今天早上在公园里遇见了一位多年不见的老朋友"
JAPANESE = "今日は朝から雨が降っていたので家でゆっくり本を読みました"
THAI = "วันนี้ฉันรู้สึกมีความสุขมากเพราะได้พบเพื่อนเก่าที่ไม่ได้เจอกันนาน"


class TestScriptsWithoutSpaces:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (CHINESE, CHINESE.replace("早", "晚")),
            (CHINESE, CHINESE.replace("里", "")),
            (CHINESE, CHINESE.replace("公园", "学校")),
            (CHINESE, f"RT @user: {CHINESE}"),
            (CHINESE, CHINESE.replace("里", "") + " @user"),
            (JAPANESE, JAPANESE.replace("雨", "雪")),
            (JAPANESE, JAPANESE.replace("ゆっくり", "")),
            (THAI, THAI.replace("มาก", "")),
            (THAI, THAI.replace("สุข", "สุก")),
        ],
    )
    def test_near_copies_are_near(self, one: str, other: str) -> None:
        groups = find_duplicates([one, "something else altogether, in seven or more words", other])
        assert groups.near.tolist() == [0, 1, 0]
        assert groups.trivial.tolist() == [0, 1, 2]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("我今天很高兴", "我今天很伤心"),
            ("今天天气很好我很高兴", "今天天气很好我很伤心"),
            ("猫が好きです", "犬が好きです"),
            ("ฉันรักแมวของฉัน", "ฉันรักแม่ของฉัน"),
            (CHINESE, "他昨天晚上在图书馆里看完了一本很有意思的小说"),
            (CHINESE, "".join(reversed(CHINESE))),
            (JAPANESE, "昨日は夜まで仕事をしていたので家に帰ってすぐに寝ました"),
            (f"i bought this book 很好 {CHINESE[:3]}", f"i bought this book 不好 {CHINESE[:3]}"),
        ],
    )
    def test_other_texts_are_not(self, one: str, other: str) -> None:
        assert find_duplicates([one, other]).near.tolist() == [0, 1]

    def test_words_are_counted_as_before(self) -> None:
        assert find_duplicates([CHINESE]).words.tolist() == [1]

    def test_many_short_and_long_ones_alike_in_kind_stay_apart(self) -> None:
        """Sentences of one pattern, such as reviews are, that say different things."""
        subjects = ["这家餐厅的菜", "那部电影的故事", "新买的手机", "昨天的音乐会", "老师讲的课", "机场的服务"]
        verdicts = [
            "非常好吃而且价格便宜",
            "实在太无聊了看到一半就走",
            "用了两天就坏了很失望",
            "让我感动得流下了眼泪",
            "学到了很多有用的东西",
        ]
        texts = [f"{subject}{verdict}" for subject in subjects for verdict in verdicts]
        assert find_duplicates(texts).near.tolist() == list(range(len(texts)))
