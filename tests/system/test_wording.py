"""Places in the words of messages and notes."""

from __future__ import annotations

import pytest

from emotune.system.wording import last_part


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("/home/me/data/reviews.csv, line 7", "reviews.csv, line 7"),
        ("/home/me/ds (train)", "ds (train)"),
        ("~/reviews.csv", "reviews.csv"),
        ("../reviews.csv", "reviews.csv"),
        ("C:\\data\\reviews.csv", "reviews.csv"),
        ("ds/test.csv", "ds/test.csv"),
        ("owner/name (test), row 1", "owner/name (test), row 1"),
        ("https://example.org/reviews.csv", "https://example.org/reviews.csv"),
        ("/", "/"),
    ],
)
def test_places_lose_the_folders_of_this_machine(place: str, shown: str) -> None:
    assert last_part(place) == shown
