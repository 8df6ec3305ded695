"""The page itself: equal bytes, nothing from outside, hostile text, and the browser by clicks, keys and links."""

import base64
import html
import json
import re

import pytest

from stages.commands import report as command
from stages.lib.core.errors import UserError
from stages.lib.display import tables
from stages.lib.page import figures, pool_page, render
from tests.helpers.chromium import open_browser
from tests.lib.page.test_figures import CELLS

HOSTILE = [
    "</script><script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!-- <script>",
    "\u2028\u2029'\"&lt;&amp;]]>{{ 7 * 7 }}${1}\\u003c",
    "\ud800 \x00 \x7f",
]


def make_rows():
    """Four problems: the majority is right, only rm is right, nobody can be right, no answer at all; texts are hostile."""
    answers = {
        "p/easy": [("7", 0.9), ("7", 0.9), ("8", 0.2)],
        "p/saved": [("8", 0.1), ("8", 0.1), ("7", 0.9)],
        "p/unsolved": [("1", 0.5), ("2", 0.5), ("2", 0.4)],
        "p/" + HOSTILE[0]: [(None, 0.1), (None, 0.2), (None, 0.3)],
    }
    return [
        {
            "problem_id": name,
            "question": HOSTILE[i],
            "gold": "7",
            "answer_type": "number",
            "scales": {"rm": "probability", "<b>": "logit"},
            "samples": [
                {"text": f"{HOSTILE[i - 1]}\n#### {answer}", "answer": answer, "scores": {"rm": score, "<b>": -1.5}}
                | {"step_scores": {"rm": [0.95, score]}}
                for answer, score in own
            ],
        }
        for i, (name, own) in enumerate(answers.items())
    ]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "a <b> pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(pool):
    """A page of the pool, with a matrix, so that all parts are on it."""
    page, data = pool_page.build(pool, {}, 1.0, 0.25, 10, 100, 1)
    matrix = figures.list_matrix(CELLS, ["orm"], None)
    matrix["rows"][2]["name"] = pool.name  # a set of the browser
    page |= {
        "matrix": 2,
        "pooled": figures.count_pooled(CELLS),
        "transfer": figures.list_transfer(CELLS, ["orm"], None),
        "has_cost": True,
        "reliability": True,
    }
    told = data["sets"][0]["problems"][2]["solutions"][-1]  # of p/saved
    told |= {"rationales": {"0": [HOSTILE[1]], "1": [HOSTILE[1]]}, "first_error": 1}
    bins = [{"label": "rm", "points": [[0.1, 0.2, 40, 3.0], [0.9, 0.8, 60, 4.0]]}]
    histories = [{"label": "orm", "lines": [{"label": "loss", "points": [[1, 2.0], [2, 1.0]]}]}]
    return page | {"costs": []}, data | {"matrix": matrix, "reliability": bins, "histories": histories}


def test_equal_data_give_equal_bytes_and_nothing_comes_from_outside(pool, page):
    first = render.render(*page)
    assert first == render.render(*page)
    text, shown = first.decode(), json.loads(re.search('id="data">(.*?)</script>', first.decode())[1])
    assert shown == page[1]
    assert not re.search(
        r"""(?:src|href)=(?!["']#)|url\(|@import|https?://(?!www\.w3\.org/2000/svg)""", re.sub('id="data">.*', "", text)
    )
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert text.count("<script") == text.count("</script>") == 2


def test_a_stage_shows_the_tables_notes_and_picture_of_its_own_report(tmp_path, page):
    picture = tmp_path / "curve.png"
    picture.write_bytes(b"\x89PNG of a few bytes")
    table = (("test", "start %"), [["pass@1 <b>", "48.2"]])
    (tmp_path / "report.md").write_text(tables.format_report({"Accuracy": table}, ["20 pairs | of 10 problems."]))
    report = render.describe_report("preference", "Learning from pairs", "In points.", tmp_path / "report.md", picture)
    text = render.render(page[0] | {"reports": [report]}, page[1]).decode()
    [section] = re.findall(r'<section id="preference">.*?</section>', text, re.DOTALL)
    for part in ("<h3>Accuracy</h3>", "pass@1 &lt;b&gt;", "<td", "48.2", "<li>20 pairs | of 10 problems.</li>"):
        assert part in section
    assert f'src="data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"' in section
    assert '<a href="#preference">Learning from pairs</a>' in text and "img-src data:;" in html.unescape(text)


def test_runs_go_into_their_place_and_nowhere_else(page):
    html = render.render(page[0] | {"dated": render.UNDATED}, page[1])
    row = {"stage": "orm", "time": "2:01", "memory": "", "ended": "2026-01-02 03:04", "commit": "abc<b>"}
    facts = {"runs": [row], "commits": ["abc<b>"], "total": "2:01", "raw": [("data/raw/x", "0" * 32, "base")]}
    dated = render.insert_runs(html, facts)
    before, _, rest = html.partition(b"<!--runs-->")
    assert dated.startswith(before) and dated.endswith(rest.partition(b"<!--/runs-->")[2])
    assert b"2:01" in dated and b"abc&lt;b&gt;" in dated and b"data/raw/x" in dated and b"leaves them out" not in dated
    with pytest.raises(ValueError, match="no place"):
        render.insert_runs(render.render(*page), facts)


def test_json_cannot_leave_its_element():
    text = render.dump_json(HOSTILE)
    assert text.isascii() and not set("<>&") & set(text) and json.loads(text) == HOSTILE
    with pytest.raises(ValueError):
        render.dump_json([float("nan")])


def test_hostile_text_is_shown_and_never_read_as_html(tmp_path, page):
    source = tmp_path / "page.html"
    source.write_bytes(render.render(*page))
    with open_browser(tmp_path / "profile") as browser:
        browser.open(source.as_uri())
        shown = set()
        for _ in range(4):
            shown.add(browser.run("document.querySelector('.question').textContent"))
            browser.press("j")
        assert shown == {text.replace("\x00", "\x00") for text in HOSTILE[:4]}
        assert browser.run("document.title") == "Assay report: a <b> pool.jsonl"
        assert browser.run("document.querySelectorAll('img, main b b, #browser script').length") == 0
        assert browser.log == []
        browser.run(
            "document.body.append(Object.assign(document.createElement('img'), {src: 'https://example.org/x.png'}))"
        )
        browser.run("new Promise((done) => setTimeout(done, 200))")
        assert "Content Security Policy" in " ".join(browser.log)


def test_filters_keys_links_and_a_narrow_screen(tmp_path, page):
    source = tmp_path / "page.html"
    source.write_bytes(render.render(*page))

    def choose(name, value):
        script = f"(() => {{ ui.{name}.value = {json.dumps(value)}; ui.{name}.dispatchEvent(new Event('change')); }})()"
        browser.run(script)

    def listed():
        """Problems in the list, as the script has them; that many are shown."""
        names = browser.run("visible().map((problem) => problem.id)")
        assert browser.run("document.querySelectorAll('.list li').length") == len(names)
        return names

    def heading():
        return browser.run("document.querySelector('#browser h3').textContent")

    def decisions():
        return browser.run("document.querySelector('.why').innerText")

    with open_browser(tmp_path / "profile") as browser:
        browser.resize(1200, 900)
        browser.open(source.as_uri())
        hostile, *names = sorted(row["problem_id"] for row in make_rows())
        assert listed() == [hostile, *names]
        for key, expected in (
            ("j", names[0]),
            ("ArrowRight", names[1]),
            ("k", names[0]),
            ("ArrowLeft", hostile),
            ("k", hostile),
        ):
            browser.press(key)
            assert heading() == expected
        for value, expected in (
            ("saved", ["p/saved"]),
            ("fooled", []),
            ("unsolved", [hostile, "p/unsolved"]),
            ("unfinished", [hostile]),
            ("all", [hostile, *names]),
        ):
            choose("filter", value)
            assert listed() == expected
            first = browser.run("new URLSearchParams(location.hash.slice(1)).get('problem')")
            assert first == (heading() if expected else ""), "the address names what is shown"
        browser.press("/")
        assert browser.run("document.activeElement.type") == "search"
        browser.run("(() => { ui.query.value = 'SAVED'; ui.query.dispatchEvent(new Event('input')); })()")
        assert listed() == ["p/saved"] and heading() == "p/saved"
        browser.press("j")  # goes into the field
        assert browser.run("ui.query.value") == "SAVEDj" and listed() == []
        browser.press("Escape")
        assert browser.run("document.activeElement === document.body")

        browser.open(source.as_uri() + "#problem=p%2Fsaved&verifier=rm&by=best")
        text = decisions()
        assert (
            "Majority: 8, 2 of 3 votes: wrong." in text
            and "Best of 3 by rm: 7 of solution 2, score 0.9: right." in text
        )
        assert "7, 82 % of the weight from 1 solution: right" in text  # 0.9 of 0.9 + 0.1 + 0.1
        assert browser.run("document.querySelector('.solution .step').style.backgroundColor").startswith("rgb")
        assert browser.run("document.querySelector('.solution pre').textContent") == HOSTILE[1]
        assert browser.run("document.querySelectorAll('.step.error').length") == 1
        browser.open(source.as_uri() + "#problem=p%2Fsaved&verifier=rm&by=best&show=saved")
        assert listed() == ["p/saved"] and browser.run("ui.filter.value") == "saved"
        browser.run("location.hash = '#problem=p%2Funsolved'")
        browser.run("new Promise((done) => setTimeout(done, 50))")
        assert heading() == "p/unsolved" and "No solution is right" in decisions()
        browser.open(source.as_uri() + "#problem=elsewhere")
        assert "not on this page" in browser.run("document.querySelector('[role=alert]').textContent")

        assert browser.run("document.querySelectorAll('#curves polyline').length") > 3
        browser.run("document.querySelector('#curves circle').scrollIntoView({ block: 'center' })")
        box = browser.run("document.querySelector('#curves circle').getBoundingClientRect().toJSON()")
        browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=box["x"] + 2, y=box["y"] + 2)
        tip = browser.run("document.getElementById('tip').innerText")
        assert "k = 1" in tip and "n = 4 problems" in tip and "[" in tip
        browser.run("document.querySelector('#heatmap th button').click()")
        assert browser.run("document.querySelectorAll('#heatmap td.cell').length") == 3
        browser.resize(390, 800, mobile=True)
        browser.open(source.as_uri())
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.log == []


def test_the_command_writes_the_page_of_a_pool(tmp_path, pool, capsys):
    command.report(tmp_path / "out.html", pool)
    command.report(tmp_path / "again.html", pool)
    assert (tmp_path / "out.html").read_bytes() == (tmp_path / "again.html").read_bytes()
    assert "out.html: 4" in capsys.readouterr().out


def test_bad_calls_write_nothing(tmp_path, pool):
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps(make_rows()[0] | {"question": 3}) + "\n")
    for arguments, message in (
        ((tmp_path / "out.txt", pool), "must be a file with the ending .html"),
        ((tmp_path / "out.html", pool, ["rm=loud"]), "must be SCORE=SCALE"),
        ((tmp_path / "out.html", None, ["rm=logit"]), "--scale: is of --pool"),
        ((tmp_path / "out.html", pool, None, float("inf")), "finite"),
        ((tmp_path / "out.html", bad), "bad.jsonl:1: question is 3; it must be a string"),
        ((tmp_path / "out.html", tmp_path / "none.jsonl"), "cannot be read"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            command.report(*arguments)
    assert not list(tmp_path.glob("out*"))
