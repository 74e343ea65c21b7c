"""A comparison as one HTML file: sortable, filterable, and in need of nothing beside itself."""

from __future__ import annotations

import html
import json
import math

import pandas as pd

#: What the columns of a comparison mean, for whoever points at their headings.
_MEANINGS = {
    "ensemble": "networks that share a law",
    "width": "neurons of a hidden layer, n",
    "depth": "layers of weights, L",
    "quantity": "what is compared; docs/architecture.md says what each is",
    "layer": "1 is the first layer of preactivations",
    "inputs": "indices of the inputs that the number belongs to",
    "component": "what else singles the number out",
    "order": "order of the theory that stands in this row",
    "theory": "what that order of theory says",
    "estimate": "what was measured",
    "standard_error": "standard error of the estimate",
    "z": "(estimate - theory)/standard_error, of few replicas a normal number as rare as that;"
    " coloured beyond 3 where the order is meant to hold",
    "relative_difference": "(estimate - theory)/theory",
    "neglected": "about how much the order leaves out; empty where that is not known",
    "holds": "yes: that is little beside the standard error, so that z should be standard normal",
    "trusted": "no: the standard error is not to be believed, so neither is z",
    "reason": "why it is not to be believed",
    "estimator": "how the variance was reduced",
    "equation": "where the formula stands: section of docs/theory.md",
}

#: Columns by which rows are drawn: they stand in the table even if they say the same in every row.
_ROWS = ("trusted", "holds")


def to_html(rows: pd.DataFrame, *, name: str, title: str | None) -> str:
    """The tidy table as a page.

    ``name`` and ``title`` are the study's. Columns that hold nothing are left out, and those that
    say the same in every row stand above the table. Rows whose column ``trusted`` is false are
    marked. Nothing of the data becomes markup: it is escaped above the table, and inside it set
    as text.
    """
    columns, said = [], []
    for column in rows.columns:
        values = [_cell(value) for value in rows[column]]
        if all(value in ("", None) for value in values):
            continue
        if len(set(values)) == 1 and len(values) > 1 and column not in _ROWS:
            said.append((column, values[0]))
            continue
        columns.append(_column(column, values))
    heading = html.escape(title or name)
    same = "".join(f"<li>{html.escape(k)}: <b>{html.escape(str(v))}</b></li>" for k, v in said)
    # What would end the script, or start another, is spelt in another way of JSON.
    data = json.dumps({"columns": columns, "rows": len(rows)}, ensure_ascii=False)
    data = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return _PAGE.format(
        heading=heading, name=html.escape(name), same=same, style=_STYLE, script=_SCRIPT, data=data
    )


def _cell(value: str | float | None) -> str | float:
    """A value as JSON can hold it: what is not a finite number is text, or nothing."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return ""
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    number = float(value)
    if math.isinf(number):
        return str(number)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _column(name: str, values: list) -> dict:
    """A column; texts that repeat are numbered, which makes the file several times smaller."""
    column: dict = {"name": name, "about": _MEANINGS.get(name, "")}
    if any(isinstance(value, str) and value for value in values):
        texts = list(dict.fromkeys(str(value) for value in values))
        places = {text: place for place, text in enumerate(texts)}
        return column | {"texts": texts, "values": [places[str(value)] for value in values]}
    return column | {"values": [None if value == "" else value for value in values]}


_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; color: #1b1f24; background: #fff; margin: 1.2rem; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; }
p, ul { margin: .3rem 0; max-width: 60rem; }
ul.same { padding: 0; list-style: none; }
ul.same li { display: inline-block; margin-right: 1.4rem; }
#controls { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin: .8rem 0; }
#controls label { display: grid; font-size: .8rem; color: #57606a; }
#controls select, #controls input { font: inherit; font-size: .95rem; max-width: 14rem; }
.scroll { overflow: auto; max-height: 78vh; border: 1px solid #d0d7de; border-radius: 6px; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: #eef1f4; cursor: pointer; text-align: left;
  white-space: nowrap; user-select: none; }
th, td { padding: .22rem .6rem; border-bottom: 1px solid #e4e8ec; }
td { white-space: nowrap; }
th.number, td.number { text-align: right; }
tr.distrusted td { background: #fdf3d8; color: #6b5a1f; }
tr.distrusted td:first-child { box-shadow: inset 4px 0 #d9a400; }
td.far { color: #b42318; font-weight: 600; }
.key { background: #fdf3d8; border-left: 4px solid #d9a400; padding: 0 .4rem; }
th[aria-sort=ascending]::after { content: " \\25B2"; } th[aria-sort=descending]::after
  { content: " \\25BC"; }
button { font: inherit; margin: .6rem 0; }
"""

_SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent), columns = data.columns;
const numbers =
  ['theory', 'estimate', 'standard_error', 'z', 'relative_difference', 'neglected'];
const most = 500, chosen = new Map();
let order = [...Array(data.rows).keys()], shown = most, sorted = null, words = '';
const make = (tag, text) => {
  const e = document.createElement(tag); if (text !== undefined) e.textContent = text; return e; };
const cell = (c, i) => c.texts ? c.texts[c.values[i]] : c.values[i];
const brief = v => v === null ? '' : Number.isInteger(v) ? String(v) : String(+v.toPrecision(6));
const trusted = columns.find(c => c.name === 'trusted');
const holds = columns.find(c => c.name === 'holds');
const controls = document.getElementById('controls'), head = document.querySelector('thead tr');
for (const c of columns) {
  const th = make('th', c.name);
  th.title = c.about; th.tabIndex = 0; if (!c.texts) th.className = 'number';
  th.onclick = () => sort(c, th);
  th.onkeydown = e => { if (e.key === 'Enter') sort(c, th); };
  head.append(th);
  const values = [...new Set(c.values)];
  if (values.length < 2 || values.length > (c.texts ? 60 : 20)) continue;
  if (numbers.includes(c.name)) continue;
  const label = make('label', c.name), select = make('select');
  select.name = c.name; select.append(new Option('all', ''));
  values.forEach((v, k) => select.append(new Option(c.texts ? c.texts[v] : brief(v), k)));
  select.onchange = () => {
    if (select.value === '') chosen.delete(c); else chosen.set(c, values[select.value]);
    draw(true); };
  label.append(select); controls.append(label);
}
const find = make('label', 'search'), box = make('input');
box.type = 'search'; box.name = 'search';
box.oninput = () => { words = box.value.toLowerCase(); draw(true); };
find.append(box); controls.append(find);
function sort(c, th) {
  const down = sorted === c && th.getAttribute('aria-sort') === 'ascending';
  sorted = c; head.querySelectorAll('th').forEach(h => h.removeAttribute('aria-sort'));
  th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const sign = down ? -1 : 1;
  order.sort((i, j) => {
    const a = cell(c, i), b = cell(c, j);
    if (a === b) return i - j;
    if (a === null || a === '') return 1; if (b === null || b === '') return -1;
    return sign * (c.texts ? a.localeCompare(b, 'en', { numeric: true }) : a - b); });
  draw(true);
}
const passes = i => {
  for (const [c, v] of chosen) if (c.values[i] !== v) return false;
  return !words || columns.some(c => String(cell(c, i) ?? '').toLowerCase().includes(words)); };
function draw(anew) {
  if (anew) shown = most;
  const left = order.filter(passes), body = make('tbody');
  for (const i of left.slice(0, shown)) {
    const tr = make('tr');
    if (trusted && cell(trusted, i) === 'no') tr.className = 'distrusted';
    for (const c of columns) {
      const v = cell(c, i), td = make('td', c.texts ? v : brief(v));
      if (!c.texts) { td.className = 'number'; td.title = v ?? ''; }
      if (c.name === 'z' && Math.abs(v) > 3 && holds && cell(holds, i) === 'yes')
        td.classList.add('far');
      tr.append(td);
    }
    body.append(tr);
  }
  document.querySelector('tbody').replaceWith(body);
  document.getElementById('count').textContent =
    `${left.length} of ${data.rows} rows` +
    (left.length > shown ? `, the first ${shown} shown` : '');
  document.getElementById('more').hidden = left.length <= shown;
}
document.getElementById('more').onclick = () => { shown += most; draw(false); };
draw(true);
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{name}: theory beside estimate</title>
<style>{style}</style>
</head>
<body>
<h1>{heading}</h1>
<p>Study <b>{name}</b>: every measured number beside every order of theory. Click on a heading to
sort; point at it to read what it means. Where <i>holds</i> says yes, the order of theory is meant
to hold at this size, within the standard error. <span class="key">Marked rows</span> are not to be
trusted.</p>
<ul class="same">{same}</ul>
<noscript><p>Without JavaScript this table stays empty; <code>comparison.csv</code> and
<code>comparison.md</code> beside it hold the same numbers.</p></noscript>
<div id="controls"></div>
<p id="count"></p>
<div class="scroll"><table><thead><tr></tr></thead><tbody></tbody></table></div>
<button id="more" hidden>Show more</button>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
