"""The audit of a data set for the terminal: counts first, then examples of each finding, most important first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.text import Text

from emotune.data.auditing.audit import Audit, Repeat
from emotune.data.auditing.located import Row
from emotune.data.auditing.shortcuts import Shortcut
from emotune.data.groups import Crossing
from emotune.data.tokens import ANOTHER_MODEL, TokenCounts, is_unreadable
from emotune.evaluation.words.formats import percent
from emotune.evaluation.words.leaks import KINDS, kinds_in_words
from emotune.report.tables import new_table, stacked
from emotune.system.text import printable
from emotune.system.wording import counted

EXAMPLES = 5
# A run names at most this many features that give a class away.
MOST_SHORTCUTS = 3
OPTIMISTIC = (
    "this makes validation scores too high, and what is chosen there (epoch, settings, temperature) less reliable"
)
_LONGEST_TEXT = 70


def audit_page(audit: Audit, examples: int = EXAMPLES) -> Group:
    """Return all findings, with a few examples of each.

    Args:
        audit: The audit.
        examples: At most this many examples per finding; with 0 only the counts are shown.
    """
    parts: list[RenderableType] = [_rows_table(audit), _findings_table(audit)]
    parts += [
        Text(note) for note in (*audit.label_findings, *(f"{line}." for line in audit.shared_sides), *audit.notes)
    ]
    parts += [Text(f"{_crossing_line(found, audit.group_column)}.") for found in audit.crossings]
    if audit.tokens is not None:
        parts.append(Text(f"With {printable(audit.tokens.model)}: {tokens_line(audit.tokens)}."))
        parts += [Text(f"{line}.") for line in unknown_lines(audit.tokens)]
    if examples == 0:
        return stacked(parts)
    parts += _together(audit, examples)
    parts += [part for part in (_unusable(audit, examples), _missing(audit, examples)) if part is not None]
    parts += [part for part in (_repeats(audit, examples),) if part is not None]
    parts += [part for part in (_contradictions(audit, examples), _label_errors(audit, examples)) if part is not None]
    if audit.shortcuts:
        parts.append(_shortcuts(audit, examples))
    return stacked(parts)


def audit_lines(audit: Audit) -> Iterator[str]:
    """Yield the findings that matter for a run, one sentence each."""
    yield from audit.label_findings
    yield from audit.shared_sides
    for split in audit.counts:
        missing = [row for row in audit.placeholders if row.place.split == split]
        if missing:
            words = list(dict.fromkeys(row.text.strip() for row in missing))
            said = (
                f"'{printable(words[0])}'"
                if len(words) == 1
                else f"'{printable(words[0])}', '{printable(words[1])}' or the like"
            )
            stand = "stands" if len(missing) == 1 else "stand"
            yield f"{counted(len(missing), 'text')} of {split} {_are(missing)} {said}, which usually {stand} for a missing text"
    for split in audit.counts:
        leaks = [leak for leak in audit.leaks if leak.row.place.split == split]
        if leaks:
            line = f"{counted(len(leaks), 'row')} of {split} {_are(leaks)} also in training ({_kinds(leaks)})"
            yield f"{line}; {OPTIMISTIC}" if split == "validation" else line
    if audit.validation_leaks:
        leaks = list(audit.validation_leaks)
        yield f"{counted(len(leaks), 'row')} of test {_are(leaks)} also in validation ({_kinds(leaks)})"
    yield from map(partial(_crossing_line, column=audit.group_column), audit.crossings)
    repeats = audit.repeated("train", ("exact", "trivial"))
    if repeats:
        yield f"{counted(len(repeats), 'training row')} {'repeats' if len(repeats) == 1 else 'repeat'} another's text"
    if audit.contradictions:
        occur = "occurs" if len(audit.contradictions) == 1 else "occur"
        yield f"{counted(len(audit.contradictions), 'training text')} {occur} with different labels"
    # Words may be the meaning of a label; capitals, length and similar traits rarely are.
    traits = [shortcut for shortcut in audit.shortcuts if shortcut.kind in ("trait", "place")]
    yield from map(_shortcut_line, traits[:MOST_SHORTCUTS])
    if audit.tokens is not None and any(audit.tokens.cut.values()):
        yield tokens_line(audit.tokens)
    if audit.tokens is not None:
        yield from unknown_lines(audit.tokens)


def _crossing_line(found: Crossing, column: str | None) -> str:
    by = "" if column is None else f" by '{printable(column, _LONGEST_TEXT)}'"
    into = "training" if found.into == "train" else found.into
    line = (
        f"{counted(found.rows, 'row')} of {found.split} {'is' if found.rows == 1 else 'are'} of {counted(found.groups, 'group')}{by} "
        f"that {'is' if found.groups == 1 else 'are'} also in {into}, such as '{printable(found.example, _LONGEST_TEXT)}'"
    )
    return (
        f"{line}; {OPTIMISTIC}" if found.split == "validation" else f"{line}: scores may be too good for other groups"
    )


def _kinds(leaks: Sequence[Repeat]) -> str:
    return kinds_in_words(Counter(leak.kind for leak in leaks))


def _are(found: Sequence[object]) -> str:
    return "is" if len(found) == 1 else "are"


def _rows_table(audit: Audit) -> RenderableType:
    table = new_table(["", *audit.counts], title=f"Rows of {printable(audit.name)}")
    labels = dict.fromkeys(label for counts in audit.counts.values() for label in counts)
    first = next(iter(audit.counts.values()))
    rows = Counter(row.place.split for row in audit.rows)
    for label in sorted(labels, key=lambda label: -first.get(label, 0)):
        shares = (
            f"{counts.get(label, 0):,} ({percent(counts.get(label, 0), rows[split])})"
            for split, counts in audit.counts.items()
        )
        table.add_row(Text(printable(label, _LONGEST_TEXT)), *shares)
    table.add_section()
    table.add_row("all", *(f"{rows[split]:,}" for split in audit.counts))
    for name, cells in label_rows(audit):
        table.add_row(name, *cells)
    table.add_row("not usable", *(f"{len(audit.unusable.get(split, ())):,}" for split in audit.counts))
    for name, cells in length_rows(audit):
        table.add_row(name, *cells)
    return table


def label_rows(audit: Audit) -> Iterator[tuple[str, list[str]]]:
    """Yield the labels per row, where rows have several: a name, and a cell per split."""
    if audit.together is None:
        return
    found = [audit.together.per_row[split] for split in audit.counts]
    yield "without a label", [f"{own.without:,} ({percent(own.without, own.rows)})" for own in found]
    yield "with several labels", [f"{own.several:,} ({percent(own.several, own.rows)})" for own in found]
    yield "labels per row: mean", [f"{own.mean:.2f}" for own in found]
    yield "labels per row: most", [f"{own.most:,}" for own in found]


def _together(audit: Audit, examples: int) -> Iterator[RenderableType]:
    """Yield the pairs of labels that come together, and the labels that never come alone."""
    found = audit.together
    if found is None:
        return
    if found.pairs:
        title = _title(f"Labels that come together in {found.split}", len(found.pairs), examples)
        table = new_table(["labels", "rows", "of the first's rows", "rows by chance"], title=title)
        for pair in found.pairs[:examples]:
            names = ", ".join(printable(label, 24) for label in pair.labels)
            table.add_row(Text(names), f"{pair.rows:,}", f"{100 * pair.of_first:.1f} %", f"{pair.by_chance:.1f}")
        yield table
    for label, rows in found.never_alone.items():
        yield Text(
            f"'{printable(label, _LONGEST_TEXT)}' never comes alone: {_all_of(rows)} of {found.split} with it "
            f"{'has' if rows == 1 else 'have'} another label too."
        )


def _all_of(rows: int) -> str:
    return "the one row" if rows == 1 else f"all {rows:,} rows"


def length_rows(audit: Audit) -> Iterator[tuple[str, list[str]]]:
    """Yield the lengths of the texts: a name, and a cell per split."""
    lengths_of = {"words": audit.lengths}
    if audit.tokens is not None:
        lengths_of["tokens"] = audit.tokens.lengths
    for unit, by_split in lengths_of.items():
        lengths = [by_split[split] for split in audit.counts]
        yield f"{unit}: median", [f"{found.median:,.0f}" for found in lengths]
        yield f"{unit}: 99 of 100 at most", [f"{found.ninety_ninth:,.0f}" for found in lengths]
        yield f"{unit}: longest", [f"{found.most:,}" for found in lengths]
    if audit.tokens is not None:
        cut = audit.tokens.cut
        yield f"longer than {audit.tokens.max_length:,} tokens", [f"{cut[split]:,}" for split in audit.counts]
        if any(audit.tokens.unknown.values()) or any(audit.tokens.unread.values()):
            yield "unknown tokens", [percent(audit.tokens.unknown[split], 1) for split in audit.counts]
            yield "without a known token", [f"{audit.tokens.unread[split]:,}" for split in audit.counts]


def limit_line(limit: int, tokens: TokenCounts, room_for: str = "") -> str:
    """Return how the limit on tokens per text was chosen.

    Args:
        limit: The limit.
        tokens: Tokens of the texts.
        room_for: The method whose own tokens also need positions; "" if it has none.
    """
    rows, cut = tokens.rows.get("train", 0), tokens.cut.get("train", 0)
    return (
        f"limit of {limit} tokens per text, chosen from the training texts"
        + (f" with room for {room_for}" if room_for else "")
        + f": {percent(rows - cut, rows)} of them are no longer (another one: model.max_length)"
    )


def tokens_line(tokens: TokenCounts) -> str:
    """Return the mean number of tokens, and the number of texts that are cut, by split."""
    cut = sum(tokens.cut.values())
    where = ", ".join(f"{number:,} of {split}" for split, number in tokens.cut.items() if number)
    return (
        f"{tokens.mean:.1f} tokens per text; {cut:,} of {tokens.texts:,} texts are longer than {tokens.max_length} and are "
        + ("read in windows" if tokens.windows else "cut")
        + (f": {where}" if where else "")
    )


def unknown_lines(tokens: TokenCounts) -> Iterator[str]:
    """Yield a sentence if a tokenizer leaves too much unread."""
    if is_unreadable(tokens):
        parts = (
            f"{percent(tokens.unknown[split], 1)} of the tokens of {split} are unknown to it, and {tokens.unread[split]:,} of {rows:,} "
            "texts have no known token"
            for split, rows in tokens.rows.items()
        )
        yield (
            f"{printable(tokens.model)} cannot read these texts: {'; '.join(parts)}. To the model such texts are alike, and "
            f"training cannot change that: {ANOTHER_MODEL}"
        )


def finding_counts(audit: Audit) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield every finding in words, with its number in each split; without splits in which it cannot occur."""
    others = [split for split in audit.counts if split != "train"]
    for kind, words in KINDS.items():
        yield f"repeats an earlier row: {words}", {split: len(audit.repeated(split, (kind,))) for split in audit.counts}
    if "train" in audit.counts and others:
        for kind, words in KINDS.items():
            yield f"is also in training: {words}", {split: len(audit.leaked(split, (kind,))) for split in others}
    if "validation" in audit.counts and "test" in audit.counts:
        for kind, words in KINDS.items():
            found = sum(leak.kind == kind for leak in audit.validation_leaks)
            yield f"is also in validation: {words}", {"test": found}
    if audit.group_column is not None:
        for into, where in (("train", "training"), ("validation", "validation")):
            rows = {found.split: found.rows for found in audit.crossings if found.into == into}
            if rows:
                yield f"is of a group that is also in {where}", rows
    if audit.placeholders:
        missing = Counter(row.place.split for row in audit.placeholders)
        yield "texts such as 'nan' or 'None'", {split: missing[split] for split in audit.counts}
    if "train" in audit.counts:
        yield "texts under different labels", {"train": len(audit.contradictions)}
        if audit.label_errors is not None:
            yield "labels that are probably wrong", {"train": len(audit.label_errors)}
        if audit.label_sets is None:  # not looked for where rows have several
            yield "features that give a class away", {"train": len(audit.shortcuts)}


def _findings_table(audit: Audit) -> RenderableType:
    table = new_table(["", *audit.counts], title="Findings")
    for name, counts in finding_counts(audit):
        table.add_row(name, *(f"{counts[split]:,}" if split in counts else "" for split in audit.counts))
    return table


def _unusable(audit: Audit, examples: int) -> RenderableType | None:
    found = [(split, row) for split, rows in audit.unusable.items() for row in rows]
    if not found:
        return None
    table = new_table(["where", "why"], title=_title("Rows that cannot be used", len(found), examples), numbers=False)
    for split, row in found[:examples]:
        table.add_row(f"{split} {row.number:,}", Text(printable(row.reason, 2 * _LONGEST_TEXT)))
    return table


def _missing(audit: Audit, examples: int) -> RenderableType | None:
    if not audit.placeholders:
        return None
    title = _title("Texts that stand for a missing one", len(audit.placeholders), examples)
    table = new_table(["where", "label", "text"], title=title, numbers=False)
    for row in audit.placeholders[:examples]:
        table.add_row(_place(row), Text(printable(row.label, 24)), _text(row))
    return table


def _repeats(audit: Audit, examples: int) -> RenderableType | None:
    found: list[Repeat] = [*audit.leaks, *audit.validation_leaks, *audit.repeats]
    if not found:
        return None
    title = _title("Repeats, leaks between splits first", len(found), examples)
    table = new_table(["row", "repeats", "kind", "text"], title=title, numbers=False)
    for repeat in found[:examples]:
        table.add_row(_place(repeat.row), _place(repeat.first), repeat.kind, _text(repeat.row))
    return table


def _contradictions(audit: Audit, examples: int) -> RenderableType | None:
    if not audit.contradictions:
        return None
    title = _title("Training texts under different labels", len(audit.contradictions), examples)
    table = new_table(["rows", "labels", "text"], title=title, numbers=False)
    for found in audit.contradictions[:examples]:
        labels = ", ".join(dict.fromkeys(row.label for row in found.rows))
        rows = ", ".join(f"{row.place.number:,}" for row in found.rows)
        table.add_row(rows, Text(printable(labels, _LONGEST_TEXT)), _text(found.rows[0]))
    return table


def _label_errors(audit: Audit, examples: int) -> RenderableType | None:
    if not audit.label_errors:
        return None
    title = _title("Labels that are probably wrong, most suspicious first", len(audit.label_errors), examples)
    table = new_table(["row", "label", "rather", "text"], title=title, numbers=False)
    for error in audit.label_errors[:examples]:
        suggestion = f"{printable(error.suggestion, 24)} ({error.confidence:.2f})"
        table.add_row(_place(error.row), Text(printable(error.row.label, 24)), Text(suggestion), _text(error.row))
    return table


def _shortcuts(audit: Audit, examples: int) -> RenderableType:
    title = _title("Features that give a class away, traits before words", len(audit.shortcuts), examples)
    table = new_table(["the text", "texts", "of them", "have the label", "of all"], title=title)
    for found in audit.shortcuts[:examples]:
        table.add_row(
            Text(printable(found.sign, _LONGEST_TEXT)),
            f"{found.rows:,}",
            percent(found.share, 1),
            Text(printable(found.label, 24)),
            percent(found.usual, 1),
        )
    return table


def _shortcut_line(found: Shortcut) -> str:
    return (
        f"a training text that {printable(found.sign, _LONGEST_TEXT)} has the label '{printable(found.label, 24)}' in "
        f"{percent(found.share, 1)} of {found.rows:,} cases, all texts in {percent(found.usual, 1)}: a model may learn only that"
    )


def _title(what: str, number: int, examples: int) -> str:
    return what if number <= examples else f"{what} (the first {examples} of {number:,})"


def _place(row: Row) -> str:
    return f"{row.place.split} {row.place.number:,}"


def _text(row: Row) -> Text:
    return Text(printable(row.text, _LONGEST_TEXT))
