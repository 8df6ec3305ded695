// The solution browser: one problem at a time, its solutions, and whom each method elects and why.
const { scores, sets } = data;
const FILTERS = {
  all: { label: "all problems", keep: () => true },
  saved: { label: "majority wrong, verifier right", keep: (p, right) => p.majority.right <= 0.5 && right > 0.5 },
  fooled: { label: "verifier fooled: missed a right answer", keep: (p, right) => right <= 0.5 && isSolved(p) },
  harmed: { label: "majority right, verifier wrong", keep: (p, right) => p.majority.right > 0.5 && right <= 0.5 },
  unsolved: { label: "unsolved: no solution is right", keep: (p) => !isSolved(p) },
  unfinished: { label: "some solution is unfinished or has no answer", keep: (p) => p.solutions.some((s) => s.finished === 0 || s.group < 0) },
};
const METHODS = { weighted: "weighted vote", best: "best of N" };
const isSolved = (p) => p.solutions.some((s) => s.right);
const state = { set: 0, id: null, score: 0, method: "weighted", filter: "all", query: "" };
const ui = {};

const rightOf = (p) => {
  const election = p.elections[state.score];
  return !election ? p.majority.right : state.method === "best" ? election.best.right : election.right;
};
const verdict = (right) => make("span", { class: right > 0.5 ? "right" : "wrong" }, right >= 1 ? "✓" : right <= 0 ? "✗" : "½");
const verdictWord = (right) => make("b", { class: right > 0.5 ? "right" : "wrong" }, right >= 1 ? "right" : right <= 0 ? "wrong" : `right in ${points(right)} % of the ways to break the tie`);
const number = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e-3 && Math.abs(x) < 1000 ? String(+x.toPrecision(3)) : x.toExponential(1));
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function visible() {
  const query = state.query.toLowerCase(), { keep } = FILTERS[state.filter];
  return (sets[state.set]?.problems ?? []).filter((p) => keep(p, rightOf(p)) &&
    (!query || [p.id, p.question, p.answer, ...p.groups.map((g) => g.answer)].some((text) => text.toLowerCase().includes(query))));
}

// What is shown, as an address to copy.
function writeAddress() {
  const score = scores[state.score];
  const words = { problem: state.id ?? "", ...(score ? { verifier: score.id, by: state.method } : {}), ...(state.filter === "all" ? {} : { show: state.filter }) };
  history.replaceState(null, "", `#${new URLSearchParams(words)}`);
}

function refresh() {
  const list = visible(), set = sets[state.set];
  if (!list.some((p) => p.id === state.id)) state.id = list[0]?.id ?? null;
  ui.count.textContent = set ? `${list.length} of ${plural(set.problems.length, "problem")}` + (set.left_out ? `; ${set.left_out} more did not fit into this page` : "") + (scores.length ? ". Marks: majority, verifier." : "") : "";
  ui.list.replaceChildren(...list.map((p) => make("li", {},
    make("button", { type: "button", "aria-current": String(p.id === state.id), title: "majority, then the verifier", onclick: () => select(p.id) },
      make("span", { class: "marks" }, verdict(p.majority.right), scores.length ? verdict(rightOf(p)) : ""),
      make("span", {}, p.id.split("/").slice(-1)[0], " ", p.question.slice(0, 60))))));
  showProblem(list.find((p) => p.id === state.id));
}

function select(id, scroll) {
  state.id = id;
  const list = visible(), place = list.findIndex((p) => p.id === id);
  [...ui.list.children].forEach((item, i) => item.firstChild.setAttribute("aria-current", String(i === place)));
  ui.list.children[place]?.scrollIntoView({ block: "nearest" });
  showProblem(list[place]);
  writeAddress();
  if (scroll) document.getElementById("solutions").scrollIntoView();
}

function move(by) {
  const list = visible(), place = list.findIndex((p) => p.id === state.id);
  const next = list[Math.max(0, Math.min(list.length - 1, place + by))];
  if (next && next.id !== state.id) select(next.id);
}

function openLink() {
  const words = new URLSearchParams(location.hash.slice(1)), id = words.get("problem");
  if (!id) return false;
  const set = sets.findIndex(({ problems }) => problems.some((p) => p.id === id));
  const score = scores.findIndex((s) => s.id === words.get("verifier"));
  if (score >= 0) state.score = score;
  if (words.get("by") in METHODS) state.method = words.get("by");
  const filter = words.get("show") in FILTERS ? words.get("show") : "all";
  Object.assign(state, { filter, query: "" }, set >= 0 ? { set, id } : {});
  syncControls();
  refresh();
  if (set < 0) ui.detail.prepend(make("p", { class: "why", role: "alert" }, `Problem ${id} is not on this page.`));
  document.getElementById("solutions").scrollIntoView();
  return true;
}

function openSet(name) {
  const set = sets.findIndex((s) => s.name === name);
  return set < 0 ? null : () => {
    Object.assign(state, { set, id: null, query: "" });
    syncControls();
    refresh();
    writeAddress();
    document.getElementById("solutions").scrollIntoView();
  };
}

function showProblem(p) {
  if (!p) return ui.detail.replaceChildren(make("p", {}, "No problem fits this filter."));
  const score = scores[state.score], election = p.elections[state.score];
  ui.detail.replaceChildren(...[
    make("h3", {}, p.id),
    p.parent ? make("p", {}, "made from ", make("a", { href: `#${new URLSearchParams({ problem: p.parent })}` }, p.parent)) : "",
    p.question ? make("div", { class: "question" }, p.question) : "",
    p.answer.includes("\n") ? [make("p", {}, "Right answer:"), make("pre", { class: "question" }, p.answer)] : make("p", {}, "Right answer: ", make("b", {}, p.answer)),
    p.gold ? make("details", {}, make("summary", {}, "worked solution"), make("div", {}, p.gold.map((step) => make("div", { class: "step" }, make("span", {}, step))))) : "",
    explain(p, score, election),
    showGroups(p, score, election),
    election ? showElections(p) : "",
    showSolutions(p, score, election)].flat());
}

const short = (text) => (text.length > 60 || text.includes("\n") ? `${text.slice(0, 60).replaceAll("\n", " ")}...` : text || "(empty)");
const answersOf = (p, places) => places.map((i) => short(p.groups[i].answer)).slice(0, 3).join(" and ") + (places.length > 3 ? ` and ${places.length - 3} more` : "");
const holder = (p, i) => p.solutions.find((s) => s.i.includes(i));

// Whom majority and verifier elect, and what decided.
function explain(p, score, election) {
  const box = make("div", { class: "why" });
  const add = (...parts) => box.append(make("p", {}, ...parts));
  if (!p.groups.length) return make("div", { class: "why" }, make("p", {}, "No solution has an answer, so nothing can be elected."));
  const votes = p.groups[p.majority.winners[0]].votes, tie = (winners) => (winners.length > 1 ? "a tie of " : "");
  add("Majority: ", tie(p.majority.winners), make("b", {}, answersOf(p, p.majority.winners)), `, ${p.majority.winners.length > 1 ? "each " : ""}${votes} of ${plural(p.n, "vote")}: `, verdictWord(p.majority.right), ".");
  if (!election) return box;
  const share = election.shares[election.winners[0]], backers = p.groups[election.winners[0]].votes;
  add(`Weighted vote by ${score.label} (power ${score.power}): `, tie(election.winners), make("b", {}, answersOf(p, election.winners)),
    `, ${(100 * share).toFixed(0)} % of the weight from ${plural(backers, "solution")}: `, verdictWord(election.right), ".");
  const best = election.best.winners.map((i) => holder(p, i)), top = best[0];
  if (!top) return box;
  add(`Best of ${p.n} by ${score.label}: `, make("b", {}, short(p.groups[top.group]?.answer ?? "")), ` of solution ${election.best.winners[0]}`
    + (election.best.winners.length > 1 ? ` and ${election.best.winners.length - 1} more` : "") + `, score ${number(top.scores[state.score])}: `, verdictWord(election.best.right), ".");
  const rights = p.solutions.filter((s) => s.right).map((s) => s.scores[state.score]);
  if (!rights.length) add("No solution is right, so nobody can be elected rightly.");
  else if (!top.right) add(`The best right solution scores ${number(Math.max(...rights))}.`);
  const steps = top.step_scores?.[state.score];
  if (steps && top.first_error >= 0) add(`The first wrong step of solution ${election.best.winners[0]}, its step ${top.first_error + 1}, got ${number(steps[top.first_error])}.`);
  return box;
}

function showGroups(p, score, election) {
  if (!p.groups.length) return "";
  const bar = (share) => {
    const node = make("span", { class: "bar" });
    node.style.width = `${Math.max(1, 90 * share)}px`;
    return node;
  };
  return make("div", { class: "scroll" }, make("table", { class: "groups" },
    make("thead", {}, make("tr", {}, ["answer", "", "votes", election ? `weight by ${score.label}` : ""].map((text) => make("th", {}, text)))),
    make("tbody", {}, p.groups.map((group, i) => make("tr", {},
      make("td", {}, make("div", {}, group.answer || "(empty)")), make("td", {}, verdict(group.right)),
      make("td", {}, bar(group.votes / p.n), group.votes, p.majority.winners.includes(i) ? " ◂" : ""),
      make("td", {}, election ? [bar(election.shares[i]), `${(100 * election.shares[i]).toFixed(0)} %`, election.winners.includes(i) ? " ◂" : ""] : ""))))));
}

function showElections(p) {
  return make("details", {}, make("summary", {}, "what every score elects"), make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ["score", "weighted vote", "best of N"].map((text) => make("th", {}, text)))),
    make("tbody", {}, p.elections.map((election, i) => make("tr", { class: i === state.score ? "elected" : null },
      make("th", { scope: "row" }, scores[i].label),
      make("td", {}, verdict(election.right), " ", answersOf(p, election.winners)),
      make("td", {}, verdict(election.best.right), " ", short(p.groups[holder(p, election.best.winners[0])?.group]?.answer ?? ""))))))));
}

function showSolutions(p, score, election) {
  const value = (s) => (s.group < 0 ? -Infinity : score ? s.scores[state.score] : 0);
  const sorted = [...p.solutions].sort((a, b) => value(b) - value(a) || a.i[0] - b.i[0]);
  return make("div", {}, make("h3", {}, `${plural(p.n, "solution")}, ${p.solutions.length} distinct` + (score ? `, by ${score.label}` : "")),
    score?.steps ? make("p", { class: "hint" }, "Every step has its score: orange below one half, blue above. ",
      "The end has one too: whether the solution is complete, if every step before it is right. The score in the head combines them.") : "",
    sorted.map((s) => showSolution(p, s, score, election)));
}

function showSolution(p, s, score, election) {
  const steps = score ? s.step_scores?.[state.score] : null;
  const chosen = election?.best.winners.some((i) => s.i.includes(i));
  const likelihood = scores.findIndex(({ id }) => id === "likelihood_mean");
  const shaded = (node, x) => {
    if (score.kind === "probability") node.style.background = shade((x - 0.5) * 1.1);
    return node;
  };
  const head = make("div", { class: "head" },
    make("b", {}, `#${s.i.slice(0, 4).join(", ")}${s.i.length > 4 ? ", .." : ""}`), s.i.length > 1 ? `×${s.i.length}` : "",
    make("span", {}, s.group < 0 ? "no answer" : ["answer ", make("b", {}, short(p.groups[s.group].answer)), " ", verdict(s.right)]),
    score ? make("span", {}, `${score.label} `, make("b", {}, number(s.scores[state.score]))) : "",
    likelihood >= 0 && likelihood !== state.score ? make("span", {}, `likelihood ${number(s.scores[likelihood])} a token`) : "",
    s.tokens !== undefined ? `${s.tokens} tokens` : "", s.finished === undefined ? "" : make("span", { class: s.finished ? null : "wrong" }, s.finished ? "finished" : "unfinished"),
    s.first_error === -1 ? "every step is true" : "",
    chosen ? make("span", { class: "tag" }, "best of N") : "");
  if (score && !steps) shaded(head, s.scores[state.score]);
  const row = (text, x, isError) => {
    const node = make("div", { class: isError ? "step error" : "step" }, make("span", {}, text),
      isError ? make("span", { class: "flag" }, "✗ first wrong step") : "", make("span", {}, x === undefined ? "" : x.toFixed(2)));
    return x === undefined ? node : shaded(node, x);
  };
  const rows = s.steps.map((text, i) => row(text, steps?.[i], s.first_error === i));
  if (steps && steps.length > s.steps.length) rows.push(row("(end of the solution)", steps[s.steps.length]));
  const rationales = score ? s.rationales?.[state.score] : null;
  return make("article", { class: chosen ? "solution chosen" : "solution" }, head, rows,
    rationales ? make("details", {}, make("summary", {}, plural(rationales.length, "rationale")), rationales.map((text) => make("pre", {}, text))) : "");
}

function syncControls() {
  for (const name of ["set", "score", "method", "filter"]) ui[name].value = String(state[name]);
  ui.query.value = state.query;
}

function startBrowser(root) {
  const menu = (name, label, options, isNumber) => {
    ui[name] = make("select", { onchange: (event) => { state[name] = isNumber ? +event.target.value : event.target.value; if (name === "set") state.id = null; refresh(); writeAddress(); } },
      options.map(([value, text]) => make("option", { value }, text)));
    return make("label", {}, label, ui[name]);
  };
  ui.query = make("input", { type: "search", placeholder: "id, question or answer", oninput: (event) => { state.query = event.target.value; refresh(); writeAddress(); } });
  ui.list = make("ol");
  ui.count = make("p", { class: "hint" });
  ui.detail = make("div", { "aria-live": "polite" });
  const preferred = scores.findIndex(({ id }) => id === data.verifier);
  if (preferred >= 0) state.score = preferred;
  root.replaceChildren(
    make("div", { class: "controls" },
      menu("set", "set", sets.map((set, i) => [i, `${set.name} (${set.problems.length})`]), true),
      menu("score", "verifier", scores.map((score, i) => [i, score.label]), true),
      menu("method", "elects by", Object.entries(METHODS)),
      menu("filter", "show", Object.entries(FILTERS).map(([key, { label }]) => [key, label])),
      make("label", {}, "search", ui.query),
      make("span", {}, make("button", { type: "button", onclick: () => move(-1), "aria-label": "previous problem" }, "←"), " ", make("button", { type: "button", onclick: () => move(1), "aria-label": "next problem" }, "→"))),
    make("div", { class: "panes" }, make("div", { class: "list" }, ui.count, ui.list), ui.detail));
  syncControls();
  addEventListener("hashchange", openLink);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) return void (["Escape", "Enter"].includes(event.key) && event.target.blur());
    const action = { j: () => move(1), ArrowRight: () => move(1), k: () => move(-1), ArrowLeft: () => move(-1), "/": () => (ui.query.scrollIntoView({ block: "center" }), ui.query.focus()) }[event.key];
    if (action) event.preventDefault(), action();
  });
  if (!openLink()) refresh();
}

for (const [id, start] of [
  ["curves", drawCurves],
  ["heatmap", (figure) => drawHeatmap(figure, openSet)],
  ["reliability", (figure) => {
    figure.className = "narrow";
    const series = data.reliability.map(({ points: bins, ...line }) => ({ ...line, points: bins.map(([x, y, n, r]) => ({ x, y, r, text: `mean score ${x.toFixed(2)}, right ${points(y)} %, ${n} solutions` })) }));
    drawChart(figure, series, { width: 460, height: 420, diagonal: true, always: true, xLabel: "mean score of the bin", yLabel: "share of right solutions" });
  }],
  ["histories", (figure) => {
    figure.className = "multiples";
    for (const { label, lines } of data.histories) {
      const own = figure.appendChild(make("figure"));
      const series = lines.map((line) => ({ label: line.label, points: line.points.map(([x, y]) => ({ x, y, text: `step ${x}: ${number(y)}` })) }));
      drawChart(own, series, { width: 300, height: 210, always: true, head: [make("h3", {}, label)], xLabel: "step", yLabel: "loss" });
    }
  }],
  ["browser", startBrowser],
]) {
  const root = document.getElementById(id);
  if (root) start(root);
}
