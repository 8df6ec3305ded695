"""The page's part on the arena, from what stage arena writes."""

from stages.lib.page import arena, render

FIGURES = {
    "name": "ORM <b>",
    "accuracy": 0.75,
    "accuracy_low": 0.6,
    "accuracy_high": 0.9,
    "kappa": 0.4,
    "spearman": 0.9,
}
NOTHING = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "kappa", "spearman", "consistency", "length"))
CSV = """set,judge,player,rating,low,high,solve_rate
test,orm,weak,900,850,950,0.25
test,orm,best_orm,1100,1050,1150,0.5
"""
REPORT = "Judges\n\n| judge |\n| --- |\n| ORM |\n\n- Some <i> pairs.\n"


def test_judges_and_players_are_on_the_page():
    figures = {**FIGURES, "consistency": 1.0, "length": 0.5}
    test = {"agent": {**NOTHING, "name": "chat model"}, "random": figures, "prm": figures, "orm": figures}
    part = arena.describe({"ood": {}, "test": {**test, "truth": figures}}, CSV, REPORT)
    assert [some["title"] for some in part["sets"]] == ["in distribution", "out of distribution"]
    first = part["sets"][0]
    assert [judge for judge, _ in first["judges"]] == ["orm", "prm", "agent", "random", "truth"]
    assert [player["name"] for player in first["players"]] == ["best sample by ORM", "weak"]
    page = {"title": "t", "headline": {"rows": [], "problems": 1, "n": 1}, "arena": part, "caveats": []}
    html = render.render(page, {}).decode()
    assert "ORM &lt;b&gt;" in html and "<b>75.0</b> <small>[60.0, 90.0]</small>" in html and 'href="#arena"' in html
    assert html.index(">best sample by ORM<") < html.index(">weak<")
    assert "<b>1100</b> <small>[1050, 1150]</small>" in html and "<li>Some &lt;i&gt; pairs.</li>" in html
    assert 'id="arena"' not in render.render({k: v for k, v in page.items() if k != "arena"}, {}).decode()
