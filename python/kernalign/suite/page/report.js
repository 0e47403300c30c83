// Draws what the report's data hold: heat maps, a map, layer profiles and a table; names are text and nothing else.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, text, names = {}, space) => {
  const found = space ? document.createElementNS(space, tag) : document.createElement(tag);
  if (text !== undefined && text !== null) found.textContent = text;
  for (const [name, value] of Object.entries(names)) found.setAttribute(name, value);
  return found;
};
const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, names, text) => make(tag, text, names, SVG);
const half = (bits) => {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
  if (power === 31) return rest ? null : sign * Infinity;
  return power ? sign * 2 ** (power - 15) * (1 + rest / 1024) : sign * 2 ** -14 * (rest / 1024);
};
const column = (given) => {
  if (Array.isArray(given)) return given;
  if (given.f16) {
    const bytes = Uint8Array.from(atob(given.f16), (one) => one.charCodeAt(0));
    return Array.from(new Uint16Array(bytes.buffer), half);
  }
  const found = [];
  for (const [value, count] of given.runs) for (let i = 0; i < count; i++) found.push(value);
  return found;
};
const SIDES = ["m", "x", "y", "a", "b"];
for (const set of data.sets) {
  for (const name of Object.keys(set.columns)) set.columns[name] = column(set.columns[name]);
  const c = set.columns;
  set.rows = c.m.map((m, at) => {
    const best = set.metrics[m].best, score = c.score[at], chance = c.chance[at], sd = c.sd[at];
    return { at, m, x: c.x[at], y: c.y[at], a: c.a[at], b: c.b[at], score, chance, sd, p: c.p[at],
      stderr: c.stderr[at], low: c.low[at], high: c.high[at],
      z: score !== null && sd ? (score - chance) / sd : null,
      corrected: score !== null && chance !== null && best !== null ? (score - chance) / (best - chance) : null,
      status: c.status[at], reason: set.reasons[c.reason[at]] };
  });
}
const shown = (value, digits = 4) => value === null || value === undefined ? "–"
  : Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-4) ? value.toExponential(2) : value.toFixed(digits);
const probability = (log) => log === null || log === undefined ? "–"
  : log < -4 ? `1e${Math.floor(log)}` : (10 ** log).toPrecision(2);
const layered = (set, model, label) => {
  const one = set.models[model];
  return one.layers.length > 1 && label !== null && label >= 0 ? `${one.name} layer ${one.layers[label]}` : one.name;
};
const option = (select, values) => values.forEach((text, at) => select.append(make("option", text, { value: at })));
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Heat map
const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const colour = (share) => {
  const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1), i = Math.min(Math.floor(at), STOPS.length - 2);
  return `rgb(${STOPS[i].map((low, k) => Math.round(low + (STOPS[i + 1][k] - low) * (at - i))).join(",")})`;
};
const VALUES = [["score", (r) => r.score], ["above chance (corrected)", (r) => r.corrected], ["z", (r) => r.z],
  ["−log10 p", (r) => r.p === null ? null : -r.p]];
const heat = { cells: new Map(), at: [0, 0] };
const state = () => ({ set: data.sets[$("set").value], m: +$("metric").value });
const better = (set, m, a, b) => set.metrics[m].larger ? a.score > b.score : a.score < b.score;

function cellsOf(set, m) {
  const found = new Map();
  for (const row of set.rows) {
    if (row.m !== m) continue;
    for (const key of [`${row.x},${row.y}`, ...(set.metrics[m].symmetric ? [`${row.y},${row.x}`] : [])]) {
      const old = found.get(key);
      if (!old || (row.score !== null && (old.score === null || better(set, m, row, old)))) found.set(key, row);
    }
  }
  return found;
}

function axes(set, m) {
  const order = $("order").value;
  const rank = order === "likeness" && set.orders[m] ? set.orders[m] : set.models.map((_, at) => at);
  const key = (at) => `${set.models[at].side || ""} ${set.models[at].family || ""}`;
  const sorted = order === "family" ? [...rank].sort((i, j) => key(i).localeCompare(key(j))) : rank;
  if (!set.across) return [sorted, sorted];
  const [first, second] = set.across.map((own) => new Set(own));
  return [sorted.filter((at) => first.has(at)), sorted.filter((at) => second.has(at))];
}

function drawHeat() {
  const { set, m } = state(), value = VALUES[$("value").value][1];
  heat.cells = cellsOf(set, m);
  [heat.rows, heat.columns] = axes(set, m);
  const canvas = $("heat"), scale = window.devicePixelRatio || 1;
  const most = Math.max(heat.rows.length, heat.columns.length, 1), size = Math.max(6, Math.min(34, Math.floor(720 / most)));
  const font = Math.min(12, Math.max(7, size - 1)), margin = size >= 8 ? 130 : 10;
  const width = margin + size * heat.columns.length + 120, height = margin + size * heat.rows.length + 8;
  canvas.width = width * scale; canvas.height = height * scale; canvas.style.width = `${width}px`;
  Object.assign(heat, { size, margin, width });
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  const known = [...heat.cells.values()].map(value).filter((one) => one !== null && Number.isFinite(one));
  const low = Math.min(...known), high = Math.max(...known), span = high - low || 1;
  g.font = `${font}px system-ui, sans-serif`; g.textBaseline = "middle";
  heat.rows.forEach((x, i) => heat.columns.forEach((y, j) => {
    const row = heat.cells.get(`${x},${y}`), left = margin + j * size, top = margin + i * size;
    const number = row ? value(row) : null;
    if (number !== null && Number.isFinite(number)) {
      g.fillStyle = colour((number - low) / span); g.fillRect(left, top, size - 0.5, size - 0.5);
    } else if (row) {
      g.strokeStyle = css("--soft"); g.strokeRect(left + 1, top + 1, size - 2, size - 2); g.beginPath();
      for (let k = 0; k <= size; k += 4) {
        g.moveTo(left + k, top); g.lineTo(left, top + k); g.moveTo(left + size, top + k); g.lineTo(left + k, top + size);
      }
      g.stroke();
    } else { g.fillStyle = css("--panel"); g.fillRect(left, top, size - 0.5, size - 0.5); }
  }));
  g.fillStyle = css("--ink");
  if (size >= 8) {
    const cut = (name) => name.length > 20 ? `${name.slice(0, 19)}…` : name;
    g.textAlign = "right";
    heat.rows.forEach((x, i) => g.fillText(cut(set.models[x].name), margin - 4, margin + (i + 0.5) * size, margin - 8));
    heat.columns.forEach((y, j) => {
      g.save(); g.translate(margin + (j + 0.5) * size, margin - 4); g.rotate(-Math.PI / 2); g.textAlign = "left";
      g.fillText(cut(set.models[y].name), 0, 0, margin - 8); g.restore();
    });
  }
  const bar = margin + size * heat.columns.length + 14, tall = Math.min(size * heat.rows.length, 240);
  g.textAlign = "left"; g.font = "11px system-ui, sans-serif";
  if (known.length) {
    for (let k = 0; k < tall; k++) { g.fillStyle = colour(1 - k / tall); g.fillRect(bar, margin + k, 14, 1.5); }
    g.fillStyle = css("--ink");
    g.fillText(shown(high, 3), bar + 20, margin + 5); g.fillText(shown(low, 3), bar + 20, margin + tall - 4);
    const levels = [...heat.cells.values()].map((r) => r.chance).filter((one) => one !== null);
    const level = levels.reduce((sum, one) => sum + one, 0) / levels.length;
    if ($("value").value === "0" && levels.length && level >= low && level <= high) {
      const top = margin + tall * (1 - (level - low) / span);
      g.strokeStyle = css("--bad"); g.lineWidth = 2; g.beginPath(); g.moveTo(bar - 4, top); g.lineTo(bar + 18, top); g.stroke();
      g.fillText("chance", bar + 54, top); g.lineWidth = 1;
    }
  }
  outline(g);
  canvas.setAttribute("aria-label", `Heat map of ${set.metrics[m].id}, ${heat.rows.length} by ${heat.columns.length} models, `
    + (known.length ? `from ${shown(low)} to ${shown(high)}` : "no score is defined") + ". Arrow keys move; the table below holds all numbers.");
}

function outline(g) {
  const [i, j] = heat.at;
  g.strokeStyle = css("--mark"); g.lineWidth = 2;
  g.strokeRect(heat.margin + j * heat.size, heat.margin + i * heat.size, heat.size, heat.size); g.lineWidth = 1;
}

function select(i, j) {
  const { set } = state();
  heat.at = [Math.min(Math.max(i, 0), heat.rows.length - 1), Math.min(Math.max(j, 0), heat.columns.length - 1)];
  const x = heat.rows[heat.at[0]], y = heat.columns[heat.at[1]], box = $("detail");
  box.replaceChildren(make("h3", `${set.models[x].name} × ${set.models[y].name}`));
  const table = make("table"), head = make("tr");
  ["metric", "score", "chance", "z", "p"].forEach((name) => head.append(make("th", name, { scope: "col" })));
  table.append(head);
  set.metrics.forEach((metric, m) => {
    const row = cellsOf(set, m).get(`${x},${y}`), line = make("tr");
    line.append(make("th", metric.id, { scope: "row" }));
    const texts = !row ? ["not asked", "", "", ""] : row.score === null ? [row.status, "", "", ""]
      : [shown(row.score), shown(row.chance, 3), shown(row.z, 1), probability(row.p)];
    texts.forEach((text) => line.append(make("td", text, { class: "n" })));
    table.append(line);
    if (row && row.reason) { const why = make("tr"); why.append(make("td", row.reason, { colspan: 5 })); table.append(why); }
  });
  box.append(table);
  for (const one of data.caveats) {
    if (one.set === set.name && [set.models[x].name, set.models[y].name].includes(one.x)
      && (one.y === null || [set.models[x].name, set.models[y].name].includes(one.y))) box.append(make("p", `${one.kind}: ${one.text}`, { class: "note" }));
  }
  drawHeat();
}

// Map of models
function drawMap() {
  const { set, m } = state(), points = set.maps[m], box = $("map");
  box.replaceChildren();
  if (!points) { box.append(make("p", "A map needs the score of every pair of one set of models.", { class: "note" })); return; }
  const W = 900, H = 520, pad = 60, xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const low = [Math.min(...xs), Math.min(...ys)], wide = [Math.max(...xs) - low[0] || 1, Math.max(...ys) - low[1] || 1];
  const scale = Math.min((W - 2 * pad) / wide[0], (H - 2 * pad) / wide[1]);
  const plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Map of ${points.length} models: distances are near −log ${set.metrics[m].id}` });
  const kinds = [...new Set(set.models.map((one) => one.family || one.side || ""))];
  points.forEach(([a, b], at) => {
    const x = pad + (a - low[0]) * scale, y = pad + (b - low[1]) * scale, kind = kinds.indexOf(set.models[at].family || set.models[at].side || "");
    const dot = svg("circle", { cx: x, cy: y, r: 4, class: "dot" });
    if (kinds.length > 1) dot.style.fill = `hsl(${(kind * 137) % 360} 60% 55%)`;
    dot.append(svg("title", {}, set.models[at].name));
    plot.append(dot);
    if (points.length <= 120) plot.append(svg("text", { x: x + 6, y: y + 4 }, set.models[at].name));
  });
  box.append(plot);
}

// Mean score against competence
function drawTrend() {
  const box = $("competence");
  if (!box) return;
  const { set, m } = state(), cells = cellsOf(set, m), points = [];
  box.replaceChildren();
  set.models.forEach((model, x) => {
    const own = set.models.map((_, y) => cells.get(`${x},${y}`) || cells.get(`${y},${x}`)).filter((r) => r && r.score !== null);
    if (model.competence !== null && own.length) points.push([model.competence, own.reduce((sum, r) => sum + r.score, 0) / own.length, model.name]);
  });
  if (points.length < 3) return;
  const W = 900, H = 320, pad = 56, ends = [0, 1].map((k) => [Math.min(...points.map((p) => p[k])), Math.max(...points.map((p) => p[k]))]);
  const at = (k, v, from, to) => from + (v - ends[k][0]) / (ends[k][1] - ends[k][0] || 1) * (to - from);
  const plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Mean ${set.metrics[m].id} of ${points.length} models against their competence; the table below holds the correlation` });
  for (const [c, s, name] of points) {
    const x = at(0, c, pad, W - 2 * pad), y = at(1, s, H - pad, pad / 2);
    plot.append(svg("circle", { cx: x, cy: y, r: 4, class: "dot" }));
    if (points.length <= 60) plot.append(svg("text", { x: x + 6, y: y + 4 }, name));
  }
  ends[0].forEach((v) => plot.append(svg("text", { x: at(0, v, pad, W - 2 * pad), y: H - pad / 3, "text-anchor": "middle" }, shown(v, 3))));
  ends[1].forEach((v) => plot.append(svg("text", { x: pad - 8, y: at(1, v, H - pad, pad / 2) + 4, "text-anchor": "end" }, shown(v, 3))));
  box.append(plot);
}

// Layer profiles
function drawProfile() {
  const { set, m } = state(), box = $("profile"), x = +$("profile-x").value, y = +$("profile-y").value;
  box.replaceChildren();
  const own = set.rows.filter((r) => r.m === m && ((r.x === x && r.y === y) || (r.x === y && r.y === x)) && r.score !== null);
  const best = new Map();
  for (const row of own) {
    const layer = row.x === x ? row.a : row.b, old = best.get(layer);
    if (!old || better(set, m, row, old)) best.set(layer, row);
  }
  const layers = [...best.keys()].sort((i, j) => i - j);
  if (layers.length < 2) { box.append(make("p", "Scores of at least two layers of this pair are needed.", { class: "note" })); return; }
  const rows = layers.map((layer) => best.get(layer)), band = rows.every((r) => r.chance !== null && r.sd !== null);
  const values = rows.flatMap((r) => band ? [r.score, r.chance - 2 * r.sd, r.chance + 2 * r.sd] : [r.score]);
  const W = 900, H = 300, pad = 46, low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
  const px = (k) => pad + k * (W - 2 * pad) / (layers.length - 1), py = (v) => H - pad - (v - low) / span * (H - 2 * pad);
  const plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${set.metrics[m].id} by layer of ${set.models[x].name} with the best layer of ${set.models[y].name}: ` + rows.map((r, k) => `${set.models[x].layers[layers[k]]} ${shown(r.score)}`).join(", ") });
  if (band) plot.append(svg("polygon", { class: "band", points: [...rows.map((r, k) => `${px(k)},${py(r.chance + 2 * r.sd)}`), ...rows.map((r, k) => `${px(k)},${py(r.chance - 2 * r.sd)}`).reverse()].join(" ") }));
  plot.append(svg("polyline", { class: "curve", points: rows.map((r, k) => `${px(k)},${py(r.score)}`).join(" ") }));
  rows.forEach((r, k) => {
    plot.append(svg("circle", { class: "dot", cx: px(k), cy: py(r.score), r: 3 }));
    if (layers.length <= 30) plot.append(svg("text", { x: px(k), y: H - pad + 18, "text-anchor": "middle" }, set.models[x].layers[layers[k]]));
  });
  [low, high].forEach((v) => plot.append(svg("text", { x: pad - 6, y: py(v) + 4, "text-anchor": "end" }, shown(v, 3))));
  box.append(plot);
}

// Table
const COLUMNS = [["metric", (s, r) => s.metrics[r.m].id], ["x", (s, r) => layered(s, r.x, r.a)], ["y", (s, r) => layered(s, r.y, r.b)],
  ["score", (s, r) => r.score], ["chance", (s, r) => r.chance], ["z", (s, r) => r.z], ["corrected", (s, r) => r.corrected],
  ["log10_p", (s, r) => r.p], ["stderr", (s, r) => r.stderr], ["status", (s, r) => r.status], ["reason", (s, r) => r.reason]];
const table = { sort: 0, down: false, page: 0, rows: [] };
const PAGE = 25;
function sortRows() {
  const { set } = state(), text = $("filter").value.toLowerCase(), get = COLUMNS[table.sort][1];
  const only = $("only").checked ? +$("metric").value : null;
  table.rows = set.rows.filter((r) => (only === null || r.m === only)
    && (!text || `${COLUMNS[1][1](set, r)} ${COLUMNS[2][1](set, r)}`.toLowerCase().includes(text)));
  const side = table.down ? -1 : 1;
  table.rows.sort((a, b) => {
    const [u, v] = [get(set, a), get(set, b)];
    if (u === null || u === undefined || v === null || v === undefined) return (u ?? null) === (v ?? null) ? a.at - b.at : (u ?? null) === null ? 1 : -1;
    return (typeof u === "string" ? u.localeCompare(v) : u - v) * side || a.at - b.at;
  });
  drawTable();
}
function drawTable() {
  const { set } = state(), head = $("scores-head"), body = $("scores-body");
  const pages = Math.max(1, Math.ceil(table.rows.length / PAGE));
  table.page = Math.min(table.page, pages - 1);
  head.replaceChildren(...COLUMNS.map(([name], at) => {
    const cell = make("th", null, { scope: "col", "aria-sort": table.sort !== at ? "none" : table.down ? "descending" : "ascending" });
    const button = make("button", name + (table.sort === at ? (table.down ? " ▼" : " ▲") : ""), { type: "button" });
    button.addEventListener("click", () => { table.down = table.sort === at && !table.down; table.sort = at; sortRows(); $("scores-head").children[at].firstChild.focus(); });
    cell.append(button);
    return cell;
  }));
  body.replaceChildren(...table.rows.slice(table.page * PAGE, (table.page + 1) * PAGE).map((row) => {
    const line = make("tr");
    COLUMNS.forEach(([name, get]) => {
      const value = get(set, row), number = typeof value === "number";
      line.append(make("td", number ? shown(value, name === "z" || name === "log10_p" ? 1 : 4) : value ?? "", number ? { class: "n" } : {}));
    });
    return line;
  }));
  $("count").textContent = `${table.rows.length} scores, page ${table.page + 1} of ${pages}`;
}
function download() {
  const { set } = state(), quote = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = [COLUMNS.map(([name]) => name), ...table.rows.map((row) => COLUMNS.map(([, get]) => get(set, row)))];
  const link = make("a", null, { download: "scores.csv" });
  link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quote).join(",")).join("\n") + "\n"], { type: "text/csv" }));
  link.click();
  URL.revokeObjectURL(link.href);
}

function chooseSet() {
  const set = data.sets[$("set").value];
  for (const id of ["metric", "profile-x", "profile-y"]) $(id).replaceChildren();
  option($("metric"), set.metrics.map((one) => one.id));
  option($("profile-x"), set.models.map((one) => one.name));
  option($("profile-y"), set.models.map((one) => one.name));
  const deep = set.models.findIndex((one) => one.layers.length > 1);
  $("profiles").hidden = deep < 0;
  $("profile-x").value = Math.max(deep, 0);
  const partner = set.rows.find((r) => r.x === deep || r.y === deep);
  $("profile-y").value = partner ? (partner.x === deep ? partner.y : partner.x) : 0;
  heat.at = [0, Math.min(1, set.models.length - 1)];
  redraw();
}
function redraw() { drawHeat(); select(...heat.at); drawMap(); drawTrend(); if (!$("profiles").hidden) drawProfile(); sortRows(); }

option($("set"), data.sets.map((one) => one.name));
option($("value"), VALUES.map(([name]) => name));
$("set").addEventListener("change", chooseSet);
for (const id of ["metric", "value", "order"]) $(id).addEventListener("change", redraw);
for (const id of ["profile-x", "profile-y"]) $(id).addEventListener("change", drawProfile);
$("filter").addEventListener("input", () => { table.page = 0; sortRows(); });
$("only").addEventListener("change", () => { table.page = 0; sortRows(); });
$("previous").addEventListener("click", () => { table.page = Math.max(0, table.page - 1); drawTable(); });
$("next").addEventListener("click", () => { table.page += 1; drawTable(); });
$("csv").addEventListener("click", download);
const place = (event) => {
  const box = $("heat").getBoundingClientRect(), zoom = heat.width / box.width;
  return [Math.floor(((event.clientY - box.top) * zoom - heat.margin) / heat.size), Math.floor(((event.clientX - box.left) * zoom - heat.margin) / heat.size)];
};
$("heat").addEventListener("mousemove", (event) => {
  const [i, j] = place(event);
  if (i >= 0 && j >= 0 && i < heat.rows.length && j < heat.columns.length && (i !== heat.at[0] || j !== heat.at[1])) select(i, j);
});
$("heat").addEventListener("keydown", (event) => {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (step) { event.preventDefault(); select(heat.at[0] + step[0], heat.at[1] + step[1]); }
});
for (const button of document.querySelectorAll("button[data-caveat]")) button.addEventListener("click", () => {
  const one = data.caveats[button.dataset.caveat];
  const at = data.sets.findIndex((set) => set.name === one.set);
  if (+$("set").value !== at) { $("set").value = at; chooseSet(); }
  const models = data.sets[at].models.map((model) => model.name), x = models.indexOf(one.x), y = one.y === null ? -1 : models.indexOf(one.y);
  const i = Math.max(heat.rows.indexOf(x), 0), j = heat.columns.indexOf(y >= 0 ? y : x);
  select(i, Math.max(j, 0)); $("heat").focus(); $("heat").scrollIntoView({ block: "center" });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
chooseSet();
document.documentElement.dataset.ready = "yes";
