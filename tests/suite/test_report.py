"""The report needs no network and no trust: what it shows is what the run holds, and a name does nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Page
from kernalign import suite
from kernalign.suite import gathered, report
from scipy.stats import spearmanr

pytest.importorskip("jinja2")
HOSTILE = "</script><img src=x onerror=document.title='hit'>"
TURNED = "\u202egnp.exe"
TOML = """
[suite]
name = '''{hostile}'''
[sets.main]
ids = "by-position"
[[models]]
name = '''{hostile}'''
side = "<b>"
competence = 0.9
set.main = "a.npz"
[[models]]
name = "{turned}"
competence = 0.5
set.main = "b.npy"
[[models]]
name = "=cmd()"
competence = 0.1
set.main = "c.npy"
[[models]]
name = "flat"
family = "\\u001b]0;title\\u0007\\r\\u009b2J"
set.main = "d.npy"
[[models]]
name = "gone\\u001b[2J"
set.main = "e.npy"
[[metrics]]
id = "cka"
[[metrics]]
id = "mknn"
metric = "mutual_knn"
k = 4
[[checks]]
kind = "bound"
metric = "cka"
low = 2.0
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[suite.Run, Path]:
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 5))
    np.savez(
        folder / "a.npz", layer1=base + rng.normal(size=(50, 5)), layer2=base, layer10=np.repeat(base[:25], 2, axis=0)
    )
    np.save(folder / "b.npy", base @ rng.normal(size=(5, 8)))
    np.save(folder / "c.npy", rng.normal(size=(50, 3)))
    np.save(folder / "d.npy", np.ones((50, 3)))
    (folder / "suite.toml").write_text(TOML.format(hostile=HOSTILE, turned=TURNED), encoding="utf-8")
    run = suite.load(folder, directory=folder / "run").run()
    return run, run.report()


class Parsed(HTMLParser):
    """Tags with their attributes, and the text in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open in self.inside:
            self.inside[self._open].append(data)


def test_nothing_is_fetched_and_only_its_own_script_runs(made):
    text = made[1].read_text(encoding="utf-8")
    page = Parsed(text)
    assert {tag for tag, _ in page.tags} & {"img", "iframe", "link", "object", "b"} == set()
    for _, attributes in page.tags:
        assert not {"src", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    [policy] = [a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    data, script = page.inside["script"]
    for kind, code in (("style", page.inside["style"][0]), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "<" not in data
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "\\u202egnp.exe" in text


def test_it_holds_every_score(made):
    run, path = made
    [own] = json.loads(Parsed(path.read_text(encoding="utf-8")).inside["script"][0])["sets"]
    columns = {name: expanded(values) for name, values in own["columns"].items()}
    assert {len(values) for values in columns.values()} == {len(run.rows)}
    found = {}
    for at in range(len(run.rows)):
        metric, x, y = (columns[key][at] for key in "mxy")
        layers = [
            own["models"][m]["layers"][columns[s][at]] if columns[s][at] >= 0 else None for m, s in ((x, "a"), (y, "b"))
        ]
        names = [json.loads(f'"{own["models"][m]["name"]}"') for m in (x, y)]
        found[own["metrics"][metric]["id"], *names, *layers] = columns["score"][at]
    for row in run.rows:
        score = found[row["metric_id"], row["x"], row["y"], row["x_layer"], row["y_layer"]]
        assert score == (None if np.isnan(row["score"]) else pytest.approx(row["score"], rel=1e-5, abs=1e-12))


def expanded(values):
    return values if isinstance(values, list) else [value for value, count in values["runs"] for _ in range(count)]


def test_what_is_closest_is_said_once(made, monkeypatch):
    """In words of few sets and metrics, of many in the coverage alone, where hundreds of sentences hid the checks."""
    run = made[0]
    told = gathered.coverage(run)
    for metric, row in zip(("cka", "mknn"), told, strict=True):
        scores = [one for one in run.rows if one["metric_id"] == metric and not np.isnan(one["score"])]
        best = max(scores, key=lambda one: one["score"])
        assert row[-1] == f"{best['x']}, {best['y']}"
        assert row[6:9] == [f"{of([one['score'] for one in scores]):.4g}" for of in (min, np.median, max)]
        assert any(f"{metric}: closest are {best['x']} and {best['y']}" in one for one in gathered.verdict(run))
    monkeypatch.setattr(gathered, "_SENTENCES", 1)
    assert not any("closest are" in one for one in gathered.verdict(run))


def test_landmarks_and_names_are_there(made):
    tags = Parsed(made[1].read_text(encoding="utf-8")).tags
    assert [tag for tag, _ in tags if tag in ("header", "nav", "main")] == ["header", "nav", "main"]
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    for _, attributes in tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name) is None or attributes[name] in ids
        if (attributes.get("href") or "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_alignment_goes_with_competence_where_it_does(made):
    rows = gathered.trend(made[0])
    assert [row[:3] for row in rows] == [["main", "cka", "3"], ["main", "mknn", "3"]]
    means = np.nanmean(gathered.table(made[0], "main", "mknn")[:3], axis=1)
    assert float(rows[1][3]) == pytest.approx(spearmanr([0.9, 0.5, 0.1], means).statistic, abs=1e-3)


def test_numbers_of_many_models_are_halves():
    values = [0.1, None, -2.5, 70.0] * 3
    packed = report._packed(values, half=True)
    found = np.frombuffer(base64.b64decode(packed["f16"]), dtype="<f2")
    np.testing.assert_allclose(found, [np.nan if one is None else one for one in values], rtol=1e-3)
    assert report._packed([1.0] * 9, half=True) == {"runs": [[1.0, 9]]}


# In a browser


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def page(made, request, tmp_path):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    found = Page(made[1], dark=request.param, folder=tmp_path)
    yield found
    found.close()


def test_the_page_works_in_a_browser(made, page):
    run, _ = made
    assert page.run("document.documentElement.dataset.ready") == "yes"
    assert page.complaints == []
    requests = [
        one["params"]["request"]["url"] for one in page.events if one.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in requests if not url.startswith(("file:", "blob:"))] == []
    assert HOSTILE in page.run("document.title")  # as text, which no script has changed
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.querySelector('h1').textContent") == HOSTILE
    assert (
        page.run("document.getElementById('count').textContent")
        == f"{len(run.rows)} scores, page 1 of {-(-len(run.rows) // 25)}"
    )
    # the keyboard moves over the cells, and what they hold is told
    page.run("document.getElementById('heat').focus()")
    for name in ("ArrowDown", "ArrowRight", "ArrowUp"):
        page.run(f"document.getElementById('heat').dispatchEvent(new KeyboardEvent('keydown', {{key: '{name}'}}))")
    told = page.run("document.getElementById('detail').textContent")
    assert told.startswith(f"{HOSTILE} × =cmd()")
    best = max(r["score"] for r in run.rows if r["metric_id"] == "cka" and {r["x"], r["y"]} == {HOSTILE, "=cmd()"})
    assert f"{best:.4f}" in told
    # a press on a heading sorts, another one the other way
    values = "[...document.querySelectorAll('#scores-body tr')].map((row) => +row.children[3].textContent)"
    press = "document.querySelectorAll('#scores-head button')[3].click()"
    page.run(press)
    up = page.run(values)[:10]
    assert up == sorted(up)
    page.run(press)
    down = page.run(values)[:10]
    assert down == sorted(down, reverse=True)
    assert page.run("document.querySelectorAll('#scores-head th')[3].getAttribute('aria-sort')") == "descending"
    # the button saves all rows; what a spreadsheet would run is text
    page.run("URL.createObjectURL = (blob) => { window.saved = blob; return 'blob:none'; }; 0")
    page.run("HTMLAnchorElement.prototype.click = () => {}; 0")
    page.run("document.getElementById('csv').click()")
    lines = page.run("window.saved.text()").splitlines()
    assert len(lines) == len(run.rows) + 1
    assert lines[0].startswith("metric,x,y,score,chance")
    assert any(",'=cmd()," in line for line in lines)
    # each choice draws
    for control, count in (("metric", 2), ("value", 4), ("order", 3)):
        for at in range(count):
            page.run(f"document.getElementById('{control}').selectedIndex = {at}")
            page.run(f"document.getElementById('{control}').dispatchEvent(new Event('change'))")
    page.run("document.querySelector('button[data-caveat]').click()")
    assert page.run("document.querySelectorAll('#profile svg polyline').length") == 1
    assert page.run("document.querySelectorAll('#competence circle').length") == 3
    dark = page.run("matchMedia('(prefers-color-scheme: dark)').matches")
    assert page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)"
    )
    assert page.complaints == []


@pytest.mark.slow
def test_seventy_eight_models_weigh_little(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(200, 10))
    for at in range(78):
        np.save(tmp_path / f"model{at}.npy", base @ rng.normal(size=(10, 20)) + rng.normal(size=(200, 20)))
    metrics = "".join(f'[[metrics]]\nid = "{name}"\n' for name in ("cka", "mutual_knn", "cknna", "rsa"))
    (tmp_path / "suite.toml").write_text('[sets.s]\nids = "by-position"\n[[models]]\nglob = "*.npy"\n' + metrics)
    path = suite.load(tmp_path).run().report()
    assert path.stat().st_size < 2_000_000
    assert len(re.findall(r"model\d+", path.read_text())) > 78
