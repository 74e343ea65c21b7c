"""A comparison as one HTML file: a row a number, to sort and filter, with nothing else needed."""

from __future__ import annotations

import html
import json
import math

import pandas as pd

from finitewidth.comparison.by_number import FAR, FAR_IN_WORDS, by_number, columns_of
from finitewidth.comparison.columns import MEANINGS
from finitewidth.comparison.page_colours import COLOURS

#: What is said of a column on this page alone, or besides.
_VERDICT = (
    f"agrees or differs: whether |z| is at most {FAR:g} for every order that is meant to hold"
)
_ABOUT_Z = (
    f"{MEANINGS['z']}; grey where the order is not meant to hold, coloured beyond {FAR:g} where it"
    " is"
)

#: The column by which rows are drawn: it stands in the table even if it says one thing everywhere.
_DRAWN_BY = "verdict"


def to_html(rows: pd.DataFrame, *, name: str, title: str | None) -> str:
    """The tidy table as a page.

    ``name`` and ``title`` are the study's. One row a number, with the orders of theory side by side
    and marked by its verdict (:mod:`finitewidth.comparison.by_number`). Columns that hold nothing
    are left out, and those that say the same in every row stand above the table. Nothing of the
    data becomes markup: it is escaped above the table, and inside it set as text.
    """
    orders = [columns_of(order) for order in dict.fromkeys(rows["order"])]
    rows = by_number(rows)
    # What these say, verdicts and the looks of z say once more.
    told = {"trusted", *(holds for _, _, holds in orders)}
    numbers: dict[str, dict] = {"estimate": {}, "standard_error": {}}
    for theory, z, holds in orders:
        held = rows[holds].eq(True).astype(int).tolist() if holds in rows else []
        numbers |= {theory: {}, z: {"holds": held, "about": _ABOUT_Z}}
    columns, said = [], []
    for column in rows.columns.drop([c for c in told if c in rows]):
        values = [_cell(value) for value in rows[column]]
        if all(value in ("", None) for value in values):
            continue
        drawn = column in numbers or column == _DRAWN_BY
        if len(set(values)) == 1 and len(values) > 1 and not drawn:
            said.append((column, values[0]))
            continue
        more = {"number": True} | numbers[column] if column in numbers else {}
        columns.append(_column(column, values) | more)
    heading = html.escape(title or name)
    same = "".join(f"<li>{html.escape(k)}: <b>{html.escape(str(v))}</b></li>" for k, v in said)
    # What would end the script, or start another, is spelt in another way of JSON.
    data = json.dumps({"columns": columns, "rows": len(rows)}, ensure_ascii=False)
    data = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return _PAGE.format(
        heading=heading,
        name=html.escape(name),
        same=same,
        style=_STYLE,
        data=data,
        far=FAR_IN_WORDS,
        script=_SCRIPT.replace("FAR", f"{FAR:g}"),
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
    column: dict = {"name": name, "about": {**MEANINGS, "verdict": _VERDICT}.get(name, "")}
    if any(isinstance(value, str) and value for value in values):
        texts = list(dict.fromkeys(str(value) for value in values))
        places = {text: place for place, text in enumerate(texts)}
        return column | {"texts": texts, "values": [places[str(value)] for value in values]}
    return column | {"values": [None if value == "" else value for value in values]}


_STYLE = (
    COLOURS
    + """body { font: 15px/1.4 system-ui, sans-serif; color: var(--text); background: var(--page);
  margin: 1.2rem; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; }
p, ul { margin: .3rem 0; max-width: 60rem; }
ul.same { padding: 0; list-style: none; }
ul.same li { display: inline-block; margin-right: 1.4rem; }
#controls { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin: .8rem 0; }
#controls label { display: grid; font-size: .8rem; color: var(--faint); }
#controls select, #controls input { font: inherit; font-size: .95rem; max-width: 14rem; }
.scroll { overflow: auto; max-height: 78vh; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: var(--head); cursor: pointer; text-align: left;
  white-space: nowrap; user-select: none; }
th, td { padding: .22rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.text { max-width: 17rem; overflow: hidden; text-overflow: ellipsis; }
th.number, td.number { text-align: right; }
th[aria-sort=ascending]::after { content: " \\25B2"; } th[aria-sort=descending]::after
  { content: " \\25BC"; }
td.idle { color: var(--faint); } td.far { color: var(--bad); font-weight: 600; }
.agrees .mark { color: var(--good); } .differs .mark { color: var(--bad); font-weight: 600; }
.not-trusted td { background: var(--doubted); } .not-trusted .mark { color: var(--doubt); }
.no-theory .mark, .no-order-holds .mark { color: var(--faint); }
button { font: inherit; margin: .6rem 0; }
"""
)

_SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent), columns = data.columns;
const signs = { agrees: '\\u2713', differs: '\\u2717', 'not trusted': '?', 'no theory': '\\u2013',
  'no order holds': '\\u2248' };
const most = 500, chosen = new Map();
let order = [...Array(data.rows).keys()], shown = most, sorted = null, words = '';
const make = (tag, text) => {
  const e = document.createElement(tag); if (text !== undefined) e.textContent = text; return e; };
const cell = (c, i) => c.texts ? c.texts[c.values[i]] : c.values[i];
const brief = (v, c) => {
  if (v === null) return '';
  if (c.holds) return v.toFixed(1);
  if (!c.number && Number.isInteger(v)) return String(v);
  const digits = +v.toPrecision(4);
  return Math.abs(digits) < 1e6 ? String(digits) : digits.toExponential().replace('e+', 'e'); };
const verdict = columns.find(c => c.name === 'verdict');
const controls = document.getElementById('controls'), head = document.querySelector('thead tr');
for (const c of columns) {
  const th = make('th', c.name);
  th.title = c.about; th.tabIndex = 0; if (!c.texts) th.className = 'number';
  th.onclick = () => sort(c, th);
  th.onkeydown = e => { if (e.key === 'Enter') sort(c, th); };
  head.append(th);
  const values = [...new Set(c.values)];
  if (values.length < 2 || values.length > (c.texts ? 60 : 20)) continue;
  if (c.number) continue;
  const label = make('label', c.name), select = make('select');
  select.name = c.name; select.append(new Option('all', ''));
  values.forEach((v, k) => select.append(new Option(c.texts ? c.texts[v] : brief(v, c), k)));
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
    tr.className = cell(verdict, i).replaceAll(' ', '-');
    for (const c of columns) {
      const v = cell(c, i), td = make('td', c.texts ? v : brief(v, c));
      td.className = c.texts ? 'text' : 'number'; td.title = v ?? '';
      if (c === verdict) { td.className = 'mark'; td.textContent = `${signs[v] ?? ''} ${v}`; }
      if (c.holds && v !== null && v !== '')
        td.classList.add(!c.holds[i] ? 'idle' : Math.abs(v) > FAR ? 'far' : 'held');
      tr.append(td);
    }
    body.append(tr);
  }
  document.querySelector('tbody').replaceWith(body);
  const tally = new Map();
  for (const i of left) tally.set(cell(verdict, i), (tally.get(cell(verdict, i)) ?? 0) + 1);
  document.getElementById('count').textContent =
    `${left.length} of ${data.rows} numbers` +
    (left.length > shown ? `, the first ${shown} shown` : '') +
    [...tally].map(([word, count]) => `; ${signs[word] ?? ''} ${word}: ${count}`).join('');
  document.getElementById('more').hidden = left.length <= shown;
}
document.getElementById('more').onclick = () => { shown += most; draw(false); };
draw(true);
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{name}: theory beside estimate</title>
<style>{style}</style>
</head>
<body>
<h1>{heading}</h1>
<p>Study <b>{name}</b>: every measured number, with its standard error, beside every order of
theory. z is the difference in standard errors. An order is meant to hold where it leaves out little
beside the standard error; elsewhere its z is grey. Click on a heading to sort; point at it, or at a
number, to read more. The verdict says whether the number <i>agrees</i> with every order that is
meant to hold, <i>differs</i> from one by more than {far} standard errors, or is <i>not trusted</i>,
because its standard error is not to be believed. With <i>no order holds</i> or <i>no theory</i>
there is nothing to judge it by. <code>comparison.csv</code> has all digits, one row an order.</p>
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
