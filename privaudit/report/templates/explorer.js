// The sample explorer: a scatter and a table of the same samples, each of which selects in the other.
// Values come from the JSON block as text and numbers; they are put in place as text, never as markup.
"use strict";
(() => {
  const app = document.getElementById("explorer-app");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const count = data.rows;
  const collator = new Intl.Collator(undefined, { numeric: true });
  const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array };
  const ROW = 36; // height of a table row in pixels until it is measured

  // ---- Columns -------------------------------------------------------------------------------------------------

  function unpack(type, text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return new TYPES[type](bytes.buffer);
  }

  // Every column gets `keys`, numbers to sort and to draw by, and `say`, the text of a row.
  function readColumn(column) {
    const raw = unpack(column.type, column.data);
    const keys = new Float64Array(count);
    if (column.kind === "category" || column.kind === "yes-no" || (column.kind === "id" && column.values)) {
      const order = column.values.map((_, code) => code);
      if (column.kind !== "yes-no") order.sort((a, b) => collator.compare(column.values[a], column.values[b]));
      const place = new Float64Array(order.length);
      order.forEach((code, rank) => { place[code] = rank; });
      for (let row = 0; row < count; row++) keys[row] = place[raw[row]];
      return { ...column, codes: raw, keys, say: (row) => column.values[raw[row]] };
    }
    const value = column.values ? (i) => column.values[raw[i]] ?? NaN : (i) => raw[i];
    if (column.places) {
      keys.fill(NaN);
      unpack("u32", column.places).forEach((row, i) => { keys[row] = value(i); });
    } else {
      for (let row = 0; row < count; row++) keys[row] = value(row);
    }
    const share = column.kind === "share";
    const say = column.kind === "id" ? (row) => String(keys[row]) : (row) => format(keys[row], share);
    return { ...column, keys, say };
  }

  function format(value, share) {
    if (!Number.isFinite(value)) return "–";
    if (share) return `${(100 * value).toFixed(1)}%`;
    return Math.abs(value) >= 0.001 || value === 0 ? value.toFixed(3) : value.toExponential(1);
  }

  const columns = data.columns.map(readColumn);
  const byKey = new Map(columns.map((column) => [column.key, column]));
  const id = columns[0];
  const category = byKey.get("class_name");
  const axes = columns.filter((column) => column.kind === "number" || column.kind === "share");

  // ---- State ---------------------------------------------------------------------------------------------------

  const state = {
    sort: { column: byKey.get(data.order) ?? id, down: byKey.has(data.order) && data.order !== id.key },
    across: byKey.get(data.horizontal) ?? axes[0],
    up: byKey.get(data.vertical) ?? axes[1] ?? axes[0],
    search: "",
    category: -1,
    window: { x0: NaN, x1: NaN, y0: NaN, y1: NaN }, // only samples within; NaN leaves a side open
    active: -1, // position in `visible`
  };
  let order = Uint32Array.from({ length: count }, (_, row) => row);
  let visible = order;
  const inside = new Uint8Array(count);

  function sortRows() {
    const { column, down } = state.sort;
    const keys = column.keys;
    const sign = down ? -1 : 1;
    order.sort((a, b) => {
      const x = keys[a], y = keys[b];
      if (x === y) return a - b;
      if (Number.isNaN(x)) return Number.isNaN(y) ? a - b : 1; // what is not known comes last
      if (Number.isNaN(y)) return -1;
      return sign * (x - y);
    });
  }

  function matcher() {
    const wanted = state.search.trim().toLowerCase();
    if (!wanted) return () => true;
    const named = category ? category.values.map((name) => name.toLowerCase().includes(wanted)) : [];
    return (row) => id.say(row).toLowerCase().includes(wanted) || Boolean(category && named[category.codes[row]]);
  }

  function filterRows() {
    const matches = matcher();
    const { x0, x1, y0, y1 } = state.window;
    const x = state.across.keys, y = state.up.keys;
    const bounded = [x0, x1, y0, y1].some((bound) => !Number.isNaN(bound));
    const row = state.active >= 0 ? visible[state.active] : -1;
    inside.fill(0);
    const found = new Uint32Array(count);
    let length = 0;
    for (let i = 0; i < count; i++) {
      const one = order[i];
      if (state.category >= 0 && category.codes[one] !== state.category) continue;
      if (bounded && (x[one] < x0 || x[one] > x1 || y[one] < y0 || y[one] > y1)) continue;
      if (bounded && (Number.isNaN(x[one]) || Number.isNaN(y[one]))) continue;
      if (!matches(one)) continue;
      inside[one] = 1;
      found[length++] = one;
    }
    visible = found.subarray(0, length);
    state.active = row >= 0 ? visible.indexOf(row) : -1;
  }

  function changed({ sorted = false } = {}) {
    if (sorted) sortRows();
    filterRows();
    showWindow();
    table.reset();
    plot.draw();
    const order_ = `${state.sort.column.title}, ${state.sort.down ? "falling" : "rising"}`;
    status.textContent = `${visible.length.toLocaleString("en")} of ${count.toLocaleString("en")} samples, by ${order_}`;
  }

  function activate(position, { scroll = true, focus = false } = {}) {
    state.active = position;
    plot.drawMark();
    table.show(scroll, focus);
    const row = visible[position];
    const told = [id, category, state.across, state.up].filter(Boolean);
    readout.textContent = row === undefined ? "" : told.map((c) => `${c.title} ${c.say(row)}`).join(" · ");
  }

  // ---- Building blocks -----------------------------------------------------------------------------------------

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") made.textContent = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function labelled(text, control) {
    control.id = `explorer-${text.toLowerCase()}`;
    return element("div", {}, element("label", { for: control.id, text }), control);
  }

  function chooser(options, chosen, changedTo) {
    const made = element("select", { onchange: (event) => changedTo(event.target.value) });
    for (const [value, text] of options) made.append(element("option", { value, text }));
    made.value = chosen;
    return made;
  }

  function later(action, wait = 120) {
    let timer = 0;
    return (...values) => { clearTimeout(timer); timer = setTimeout(() => action(...values), wait); };
  }

  // ---- The scatter ---------------------------------------------------------------------------------------------

  const plot = (() => {
    const base = element("canvas", { "aria-hidden": "true" });
    const mark = element("canvas", {
      tabindex: "0", role: "application", "aria-roledescription": "scatter plot",
      "aria-label": "Scatter of the samples. Left and right go from sample to sample, Enter goes to its row in the table, Escape shows all.",
    });
    const box = element("div", { class: "plot" }, base, mark);
    const margin = { left: 58, right: 14, top: 12, bottom: 44 };
    let width = 0, height = 0, limits = null, pixels = null;

    function colour(name) {
      return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    }

    function limitsOf(keys) {
      let low = Infinity, high = -Infinity;
      for (let i = 0; i < count; i++) {
        const value = keys[i];
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (!(low <= high)) { low = 0; high = 1; }
      const room = (high - low || 1) * 0.03;
      return [low - room, high + room];
    }

    function resize() {
      const bounds = box.getBoundingClientRect();
      if (!bounds.width) return;
      width = bounds.width; height = bounds.height;
      const ratio = window.devicePixelRatio || 1;
      for (const canvas of [base, mark]) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
        canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
      }
      draw();
    }

    const toX = (value) => margin.left + (value - limits.x[0]) / (limits.x[1] - limits.x[0]) * (width - margin.left - margin.right);
    const toY = (value) => height - margin.bottom - (value - limits.y[0]) / (limits.y[1] - limits.y[0]) * (height - margin.top - margin.bottom);
    const fromX = (x) => limits.x[0] + (x - margin.left) / (width - margin.left - margin.right) * (limits.x[1] - limits.x[0]);
    const fromY = (y) => limits.y[0] + (height - margin.bottom - y) / (height - margin.top - margin.bottom) * (limits.y[1] - limits.y[0]);

    function ticks([low, high], wanted) {
      const rough = (high - low) / wanted;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
      const found = [];
      for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
      return found;
    }

    const short = (value, column) => column.kind === "share" ? `${Number((100 * value).toPrecision(3))}%` : String(Number(value.toPrecision(3)));

    function drawAxes(pen) {
      pen.strokeStyle = colour("--line"); pen.fillStyle = colour("--quiet");
      pen.lineWidth = 1; pen.font = "12px system-ui, sans-serif";
      pen.textAlign = "center"; pen.textBaseline = "top";
      for (const value of ticks(limits.x, Math.max(3, width / 110))) {
        pen.beginPath(); pen.moveTo(toX(value), margin.top); pen.lineTo(toX(value), height - margin.bottom); pen.stroke();
        pen.fillText(short(value, state.across), toX(value), height - margin.bottom + 6);
      }
      pen.fillText(state.across.title, margin.left + (width - margin.left - margin.right) / 2, height - 18);
      pen.textAlign = "right"; pen.textBaseline = "middle";
      for (const value of ticks(limits.y, 5)) {
        pen.beginPath(); pen.moveTo(margin.left, toY(value)); pen.lineTo(width - margin.right, toY(value)); pen.stroke();
        pen.fillText(short(value, state.up), margin.left - 6, toY(value));
      }
      pen.save(); pen.translate(11, margin.top + (height - margin.top - margin.bottom) / 2); pen.rotate(-Math.PI / 2);
      pen.textAlign = "center"; pen.fillText(state.up.title, 0, 0); pen.restore();
    }

    function draw() {
      if (!width) return;
      const pen = base.getContext("2d");
      limits = { x: limitsOf(state.across.keys), y: limitsOf(state.up.keys) };
      pen.clearRect(0, 0, width, height);
      drawAxes(pen);
      const x = state.across.keys, y = state.up.keys;
      pixels = { x: new Float32Array(count), y: new Float32Array(count) };
      for (let i = 0; i < count; i++) { pixels.x[i] = toX(x[i]); pixels.y[i] = toY(y[i]); }
      // What is left out is smaller as well as paler: never by colour alone.
      pen.fillStyle = colour("--dim"); pen.globalAlpha = 0.35;
      for (let i = 0; i < count; i++) if (!inside[i] && pixels.x[i] === pixels.x[i] && pixels.y[i] === pixels.y[i]) pen.fillRect(pixels.x[i] - 0.5, pixels.y[i] - 0.5, 1, 1);
      pen.fillStyle = colour("--dot"); pen.globalAlpha = Math.max(0.25, Math.min(0.75, 2500 / Math.max(1, visible.length)));
      for (let k = 0; k < visible.length; k++) { const i = visible[k]; if (pixels.x[i] === pixels.x[i] && pixels.y[i] === pixels.y[i]) pen.fillRect(pixels.x[i] - 1.5, pixels.y[i] - 1.5, 3, 3); }
      pen.globalAlpha = 1;
      drawMark();
    }

    function drawMark(brush) {
      if (!width || !pixels) return;
      const pen = mark.getContext("2d");
      pen.clearRect(0, 0, width, height);
      pen.strokeStyle = colour("--mark"); pen.lineWidth = 1;
      if (brush) { pen.setLineDash([4, 3]); pen.strokeRect(brush.x, brush.y, brush.width, brush.height); pen.setLineDash([]); }
      const row = visible[state.active];
      if (row === undefined || Number.isNaN(pixels.x[row]) || Number.isNaN(pixels.y[row])) return;
      const x = pixels.x[row], y = pixels.y[row];
      pen.beginPath(); pen.moveTo(x, margin.top); pen.lineTo(x, height - margin.bottom);
      pen.moveTo(margin.left, y); pen.lineTo(width - margin.right, y); pen.stroke();
      pen.lineWidth = 2.5; pen.beginPath(); pen.arc(x, y, 6, 0, 2 * Math.PI); pen.stroke();
    }

    function nearest(x, y) {
      let best = -1, least = 14 * 14;
      for (let k = 0; k < visible.length; k++) {
        const dx = pixels.x[visible[k]] - x, dy = pixels.y[visible[k]] - y, far = dx * dx + dy * dy;
        if (far < least) { least = far; best = k; }
      }
      return best;
    }

    let start = null;
    const at = (event) => { const bounds = mark.getBoundingClientRect(); return { x: event.clientX - bounds.left, y: event.clientY - bounds.top }; };
    const between = (a, b) => ({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) });
    mark.addEventListener("pointerdown", (event) => { if (event.button === 0) { start = at(event); mark.setPointerCapture(event.pointerId); } });
    mark.addEventListener("pointermove", (event) => { if (start) drawMark(between(start, at(event))); });
    mark.addEventListener("pointercancel", () => { start = null; drawMark(); });
    mark.addEventListener("pointerup", (event) => {
      if (!start) return;
      const brush = between(start, at(event));
      start = null;
      if (brush.width < 5 && brush.height < 5) {
        const found = nearest(brush.x, brush.y);
        if (found >= 0) activate(found); else drawMark();
        return;
      }
      state.window = { x0: fromX(brush.x), x1: fromX(brush.x + brush.width), y0: fromY(brush.y + brush.height), y1: fromY(brush.y) };
      changed();
    });

    // From dot to dot in the order of the horizontal axis.
    mark.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { clearWindow(); event.preventDefault(); return; }
      if (event.key === "Enter" && state.active >= 0) { activate(state.active, { focus: true }); event.preventDefault(); return; }
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!step || !visible.length) return;
      event.preventDefault();
      const keys = state.across.keys;
      const places = Uint32Array.from(visible, (_, k) => k).filter((k) => !Number.isNaN(keys[visible[k]]));
      places.sort((a, b) => keys[visible[a]] - keys[visible[b]] || a - b);
      const here = places.indexOf(state.active);
      const next = here < 0 ? 0 : Math.max(0, Math.min(places.length - 1, here + step));
      if (places.length) activate(places[next]);
    });
    new ResizeObserver(resize).observe(box);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    return { box, draw, drawMark: () => drawMark() };
  })();

  // ---- The table: only the rows in sight exist -----------------------------------------------------------------

  const table = (() => {
    const head = element("tr", { role: "row", "aria-rowindex": "1" });
    const body = element("tbody", { role: "rowgroup" });
    // Fixed widths: rows come and go while one scrolls, and the columns must not dance.
    const widths = columns.map((column) => {
      const col = element("col");
      col.style.width = `${Math.max(column.kind === "category" ? 8 : 6.4, 2.6 + 0.56 * column.title.length)}rem`;
      return col;
    });
    const grid = element("table", { role: "grid", "aria-label": "Samples", "aria-colcount": String(columns.length) },
      element("colgroup", {}, ...widths), element("thead", { role: "rowgroup" }, head), body);
    const viewport = element("div", { class: "viewport", tabindex: "-1" }, grid);
    let rowHeight = ROW, first = -1, last = -1;

    const heads = columns.map((column, index) => {
      const arrow = element("span", { "aria-hidden": "true" });
      const press = () => {
        const same = state.sort.column === column;
        state.sort = { column, down: same ? !state.sort.down : column.kind !== "id" && column.kind !== "category" };
        changed({ sorted: true });
      };
      const cell = element("th", { role: "columnheader", scope: "col", "aria-colindex": String(index + 1), title: column.meaning },
        element("button", { type: "button", onclick: press }, `${column.title} `, arrow));
      if (column.kind === "number" || column.kind === "share") cell.className = "number";
      head.append(cell);
      return { column, cell, arrow };
    });

    function row(position) {
      const made = element("tr", {
        role: "row", "aria-rowindex": String(position + 2), "data-position": String(position),
        "aria-selected": String(position === state.active), tabindex: position === Math.max(0, state.active) ? "0" : "-1",
      });
      columns.forEach((column, index) => {
        const text = column.say(visible[position]);
        const number = column.kind === "number" || column.kind === "share";
        const cell = element("td", { role: index ? "gridcell" : "rowheader", "aria-colindex": String(index + 1), dir: "auto", text });
        if (number) cell.className = "number";
        else cell.title = text;
        made.append(cell);
      });
      return made;
    }

    function space(height) {
      const cell = element("td", { colspan: String(columns.length) });
      cell.style.height = `${height}px`;
      return element("tr", { class: "space", "aria-hidden": "true" }, cell);
    }

    function render(force = false) {
      const seen = Math.ceil(viewport.clientHeight / rowHeight) + 1;
      const top = Math.max(0, Math.floor(viewport.scrollTop / rowHeight) - 8);
      const bottom = Math.min(visible.length, top + seen + 16);
      if (!force && top === first && bottom === last) return;
      const hadFocus = body.contains(document.activeElement);
      first = top; last = bottom;
      const rows = [];
      for (let position = top; position < bottom; position++) rows.push(row(position));
      body.replaceChildren(space(top * rowHeight), ...rows, space((visible.length - bottom) * rowHeight));
      if (hadFocus) (focusable() ?? viewport).focus({ preventScroll: true });
    }

    const focusable = () => body.querySelector('tr[tabindex="0"]');

    function reset() {
      for (const { column, cell, arrow } of heads) {
        const chosen = column === state.sort.column;
        cell.setAttribute("aria-sort", chosen ? (state.sort.down ? "descending" : "ascending") : "none");
        arrow.textContent = chosen ? (state.sort.down ? "▼" : "▲") : "";
      }
      grid.setAttribute("aria-rowcount", String(visible.length + 1));
      if (state.active < 0) viewport.scrollTop = 0;
      render(true);
      const one = body.querySelector("tr[data-position]");
      if (one && one.offsetHeight && one.offsetHeight !== rowHeight) { rowHeight = one.offsetHeight; render(true); }
    }

    function show(scroll, focus) {
      if (scroll && state.active >= 0) {
        const top = state.active * rowHeight, seen = viewport.clientHeight - 2 * rowHeight;
        if (top < viewport.scrollTop) viewport.scrollTop = top;
        else if (top > viewport.scrollTop + seen) viewport.scrollTop = top - seen;
      }
      render(true);
      if (focus) focusable()?.focus({ preventScroll: true });
    }

    // What lies beside the window is named, since some systems draw no scroll bar.
    const beside = element("p", { class: "hidden-columns" });
    function tellHidden() {
      const bounds = viewport.getBoundingClientRect();
      if (!bounds.width) return;
      const left = [], right = [];
      for (const { column, cell } of heads) {
        const { left: from, right: to } = cell.getBoundingClientRect();
        if (to - 12 > bounds.right) right.push(column.title);
        else if (from + 12 < bounds.left) left.push(column.title);
      }
      const said = [];
      if (left.length) said.push(`← to the left: ${left.join(", ")}`);
      if (right.length) said.push(`to the right, by scrolling: ${right.join(", ")} →`);
      beside.textContent = said.join(" · ");
    }
    new ResizeObserver(tellHidden).observe(viewport);

    viewport.addEventListener("scroll", () => { render(); tellHidden(); });
    body.addEventListener("click", (event) => {
      const chosen = event.target.closest("tr[data-position]");
      if (chosen) activate(Number(chosen.dataset.position), { scroll: false, focus: true });
    });
    viewport.addEventListener("keydown", (event) => {
      if (event.target.closest("thead")) return;
      const page = Math.max(1, Math.floor(viewport.clientHeight / rowHeight) - 2);
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") { clearWindow(); event.preventDefault(); return; }
      if (step === undefined || !visible.length) return;
      event.preventDefault();
      const from = state.active < 0 && step > 0 && Number.isFinite(step) ? -1 : Math.max(0, state.active);
      activate(Math.max(0, Math.min(visible.length - 1, from + step)), { focus: true });
    });
    body.addEventListener("focusin", (event) => {
      const chosen = event.target.closest("tr[data-position]");
      if (chosen && Number(chosen.dataset.position) !== state.active) activate(Number(chosen.dataset.position), { focus: true });
    });
    return { viewport, beside, reset, show };
  })();

  // ---- Controls ------------------------------------------------------------------------------------------------

  const status = element("p", { class: "status", role: "status" });
  const readout = element("p", { class: "readout", "aria-live": "polite" });
  const bound = (side, name) => element("input", {
    type: "number", step: "any", "aria-label": name,
    oninput: later((event) => { state.window[side] = event.target.value === "" ? NaN : Number(event.target.value) / scale(side); filtered(); }),
  });
  const scale = (side) => ((side[0] === "x" ? state.across : state.up).kind === "share" ? 100 : 1);
  const bounds = { x0: bound("x0", "Across, from"), x1: bound("x1", "Across, to"), y0: bound("y0", "Up, from"), y1: bound("y1", "Up, to") };
  const legends = { x: element("legend"), y: element("legend") };

  function filtered() {
    state.active = -1;
    readout.textContent = "";
    changed();
  }

  function showWindow() {
    legends.x.textContent = `Only ${state.across.title}${state.across.kind === "share" ? " (%)" : ""} from, to`;
    legends.y.textContent = `Only ${state.up.title}${state.up.kind === "share" ? " (%)" : ""} from, to`;
    for (const [side, input] of Object.entries(bounds)) {
      if (document.activeElement === input) continue;
      const value = state.window[side] * scale(side);
      input.value = Number.isNaN(value) ? "" : String(Number(value.toPrecision(4)));
    }
  }

  function clearWindow() {
    state.window = { x0: NaN, x1: NaN, y0: NaN, y1: NaN };
    changed();
  }

  const search = element("input", { type: "search", placeholder: "id or class", oninput: later((event) => { state.search = event.target.value; filtered(); }) });
  const named = axes.map((column) => [column.key, column.title]);
  const controls = element("div", { class: "controls" }, labelled("Search", search));
  let classes = null;
  if (category && category.values.length > 1) {
    const options = category.values.map((name, code) => [String(code), name]).sort((a, b) => collator.compare(a[1], b[1]));
    classes = chooser([["-1", "All classes"], ...options], "-1", (value) => { state.category = Number(value); filtered(); });
    controls.append(labelled("Class", classes));
  }
  controls.append(
    labelled("Across", chooser(named, state.across.key, (key) => { state.across = byKey.get(key); clearWindow(); })),
    labelled("Up", chooser(named, state.up.key, (key) => { state.up = byKey.get(key); clearWindow(); })),
    element("fieldset", {}, legends.x, bounds.x0, bounds.x1),
    element("fieldset", {}, legends.y, bounds.y0, bounds.y1),
    element("button", { type: "button", text: "Show all samples", onclick: () => {
      state.search = search.value = "";
      state.category = -1;
      if (classes) classes.value = "-1";
      state.active = -1;
      readout.textContent = "";
      clearWindow();
    } }),
  );
  app.append(
    element("p", { text: "Every dot is a sample. Drag over the dots to keep only those in the table; click a dot or a row to find it in the other. Column titles sort." }),
    ...(data.caution ? [element("p", { text: data.caution })] : []),
    controls, plot.box, readout, status, table.beside, table.viewport,
  );
  app.hidden = false;
  changed({ sorted: true });
})();
