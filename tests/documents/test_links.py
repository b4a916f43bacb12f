"""Links of the pages lead somewhere, and pages are of a size that is read."""

from __future__ import annotations

import pytest

from tests.documents.pages import PAGES, ROOT, anchors, links, text_of

LINKS = [(page, link) for page in PAGES for link in links(page)]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_to_a_file_and_a_heading(page: str, link: str) -> None:
    if link.startswith("https://"):
        return
    path, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / path).resolve() if path else ROOT / page

    assert target.exists(), f"{page} leads to {link}"
    if anchor:
        assert anchor in anchors(str(target.relative_to(ROOT))), f"{page} leads to {link}"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_reached_from_the_readme_or_a_page_that_is(page: str) -> None:
    from_readme = {link.partition("#")[0] for link in links("README.md")} & set(PAGES)
    reached = {(ROOT / one).parent / link for one in from_readme for link in links(one) if "://" not in link}

    assert page in {"README.md", *from_readme, *(str(path.resolve().relative_to(ROOT)) for path in reached)}


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(text_of("README.md").splitlines()) <= 350


def test_the_promise_is_in_the_words_that_were_given() -> None:
    promise = (
        "at least once on durable channels within the configured history, exactly once after the client's offset "
        "check, in order per channel; at most once for ephemeral messages."
    )

    assert promise in " ".join(text_of("README.md").split())
