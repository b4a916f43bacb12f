"""Pages of ours: served to anybody, holding nothing, and running nothing but files of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fairlead_gateway.rest.headers import page_headers
from fairlead_gateway.rest.pages import CLIENT, FOLDER, PAGES, SERVED, VENDORED, client_routes, page_routes

SUFFIXES = (".js", ".css", ".html", ".svg")
FILES = [
    path
    for folder in (*PAGES, CLIENT, "demo")
    for path in sorted((FOLDER / folder).rglob("*"))
    if path.suffix in SUFFIXES
]
LINKS = re.compile(r"""(?:src|href)=["']([^"'#$]+)["']""")
IMPORTS = re.compile(r'(?:\bfrom|^import) "(\.[^"]+)"', re.MULTILINE)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=[*page_routes(), *client_routes()]))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_and_all_it_names_is_there_under_the_same_policy(client: TestClient, name: str) -> None:
    page = client.get(f"/{name}")
    links = [link for link in LINKS.findall(page.text) if link.startswith("static/")]
    answers = [page, *(client.get(f"/{link}") for link in links)]

    assert len(links) > 4
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    for answer in answers:
        assert page_headers().items() <= dict(answer.headers).items()
    assert "unsafe" not in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_file_names_no_other_origin_and_makes_no_markup(path: Path) -> None:
    text = path.read_text()

    assert (
        re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}[^\s\"'`]*", text.replace("http://www.w3.org/2000/svg", ""))
        == []
    )
    assert (
        re.findall(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|eval|document\.write)\b", text)
        == []
    )
    assert len(text.splitlines()) < 250


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_what_a_module_imports_is_there(path: Path) -> None:
    missing = [name for name in IMPORTS.findall(path.read_text()) if not (path.parent / name).resolve().is_file()]

    assert missing == []


@pytest.mark.parametrize(
    "path", [path for path in sorted((FOLDER / CLIENT).rglob("*")) if path.suffix in SERVED], ids=lambda path: path.name
)
def test_pages_of_every_origin_may_load_the_client(client: TestClient, path: Path) -> None:
    url = f"/static/{path.relative_to(FOLDER / CLIENT).as_posix()}"
    answer = client.get(url, headers={"origin": "https://shop.example"})

    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == f"{SERVED[path.suffix]}; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert client.get(url, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert client.post(url).status_code == 405


def test_nothing_else_is_served(client: TestClient) -> None:
    paths = (
        "/static/",
        "/static/demo/index.html",
        "/static/../rest/pages.py",
        f"/static/{VENDORED}/",
        "/static/dashboard/",
        "/static/fairlead/",
        "/static/package.json",
        "/static/README.md",
        f"/static/{CLIENT}/fairlead.js",
    )

    assert {client.get(path).status_code for path in paths} == {404}
