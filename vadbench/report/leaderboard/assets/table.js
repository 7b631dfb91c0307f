"use strict";
// The tables. `.board`: entries from the page's JSON (payload.py says what it holds), filtered, sorted within their groups, a page at a time.
// `.sortable`: tables whose rows are in the page. Texts become text nodes: nothing from a record is ever read as HTML.
(() => {
  const PAGE = 50; // rows shown at a time
  const SAMPLE = 400; // rows that a scale is taken from
  const FILTERS = ["dataset", "training", "features", "method"];
  const collator = new Intl.Collator("en", { numeric: true });
  const source = document.getElementById("entries");
  const data = source ? JSON.parse(source.textContent) : null;
  const [GROUP, METHOD, FEATURES, REMARK, SEEDS, UNRANKED, FAILURES, CELLS, COSTS, PLACES, USUAL] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const texts = {
    dataset: (row) => data.groups[row[GROUP]].dataset,
    training: (row) => data.groups[row[GROUP]].training,
    features: (row) => data.texts[row[FEATURES]],
    method: (row) => data.methods[row[METHOD]].name,
  };
  const choices = (name) => [...new Set(data.rows.map(texts[name]))].sort(collator.compare);

  // What Find looks through, in small letters; made when it is first used.
  let haystacks = null;
  function haystack(row) {
    haystacks ??= new Map();
    if (!haystacks.has(row)) {
      const group = data.groups[row[GROUP]];
      const words = [texts.method(row), texts.features(row), data.texts[row[REMARK]], group.dataset, group.training, group.rules];
      haystacks.set(row, words.join(" ").toLowerCase());
    }
    return haystacks.get(row);
  }

  const valueOf = (row, metric) => (Array.isArray(row[CELLS][metric]) ? row[CELLS][metric][0] : null);

  // Ascending or descending; what is missing comes last either way, and equals keep their order.
  function compare(a, b, descending) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "string") return descending ? collator.compare(b, a) : collator.compare(a, b);
    return descending ? b - a : a - b;
  }

  // All rows sorted within their groups by a column, once for each column and direction: a filter then only has to go through them.
  const orders = new Map();
  function sortRows(column, descending) {
    const key = `${column.key} ${descending}`;
    if (!orders.has(key)) {
      const ranks = column.text ? new Map(choices(column.key).map((text, index) => [text, index])) : null;
      const keyed = data.rows.map((row) => [row, ranks ? ranks.get(column.text(row)) : column.value(row)]);
      keyed.sort(([a, first], [b, second]) => a[GROUP] - b[GROUP] || compare(first, second, descending));
      orders.set(key, keyed.map(([row]) => row));
    }
    return orders.get(key);
  }

  // Ends of the scale of a metric's interval bars: most intervals of these rows, to the next 5 %; what lies beyond is cut off.
  function scale(rows, metric) {
    const step = Math.ceil(rows.length / SAMPLE);
    const cells = rows.filter((row, index) => index % step === 0).map((row) => row[CELLS][metric]).filter(Array.isArray);
    if (!cells.length) return [0, 1];
    const lows = cells.map((cell) => cell[2] ?? cell[0]).sort((a, b) => a - b);
    const highs = cells.map((cell) => cell[3] ?? cell[0]).sort((a, b) => a - b);
    const low = Math.floor(20 * lows[Math.floor(0.05 * (lows.length - 1))]) / 20;
    return [low, Math.max(Math.ceil(20 * highs[Math.ceil(0.95 * (highs.length - 1))]) / 20, low + 0.05)];
  }

  const percent = (value) => (100 * value).toFixed(1);

  function amount(value) {
    if (value >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
    return value >= 1 ? value.toFixed(1) : value.toPrecision(2);
  }

  // A long name may break after each of its streams.
  function breakable(text) {
    return text.split("+").flatMap((part, index) => (index ? ["+", document.createElement("wbr"), part] : [part]));
  }

  function board(place) {
    const form = place.querySelector("form");
    const table = place.querySelector("table");
    const pages = place.querySelector(".pages");
    const without = place.dataset.without.split(" ");
    const alone = without.includes("method"); // one method's page: its features lead the rows, and it has no places among others
    const number = [...document.querySelectorAll(".board")].indexOf(place);
    const variants = form.elements.variants; // a box: also what is not a method's usual row
    const filtered = FILTERS.filter((name) => form.elements[name]);
    const state = { key: "0", descending: data.metrics[0].better > 0, metric: 0, page: 0 };
    let shown = [];
    let unusual = false; // whether variants are shown without being asked for, as nothing else matches
    let scales = [];
    let notes = [];

    function footnote(text) {
      const known = notes.indexOf(text);
      return known >= 0 ? known + 1 : notes.push(text);
    }

    function note(text) {
      const mark = footnote(text);
      return element("a", { class: "why", href: `#note-${number}-${mark}`, title: text, "aria-label": `note ${mark}` }, element("sup", {}, String(mark)));
    }

    const missing = (text) => [element("span", { title: text }, "–"), note(text)];

    function columns() {
      const show = form.elements.show.value;
      const metrics = data.metrics.map((metric, index) => ({ key: String(index), title: metric.name, metric: index, first: metric.better > 0, value: (row) => valueOf(row, index) }));
      const lead = [
        ...(alone ? [] : [{ key: "method", title: "Method", text: texts.method }]),
        { key: "features", title: "Features", text: texts.features, class: alone ? "" : "wide" },
        { key: "seeds", title: "Seeds", value: (row) => row[SEEDS], class: "wide", first: true },
      ];
      if (show === "cost") {
        const costs = data.costs.map((cost, index) => ({ key: `cost${index}`, title: cost.unit ? `${cost.name}, ${cost.unit}` : cost.name, first: false, value: (row) => row[COSTS][index] }));
        return [...lead, metrics[0], ...costs];
      }
      return [...lead, ...metrics.filter((column, index) => show === "all" || show === String(index) || (show === "main" && data.metrics[index].usual))];
    }

    // Whether the filters leave a row.
    function filter() {
      const wanted = filtered.map((name) => [texts[name], form.elements[name].value]).filter(([, choice]) => choice);
      const words = form.elements.find.value.toLowerCase().split(/\s+/).filter(Boolean);
      return (row) => wanted.every(([text, choice]) => text(row) === choice) && words.every((word) => haystack(row).includes(word));
    }

    function header() {
      const cells = columns().map((column) => {
        const sorted = column.key === state.key;
        const button = element("button", { type: "button" }, column.title);
        button.addEventListener("click", () => {
          state.descending = sorted ? !state.descending : Boolean(column.first);
          state.key = column.key;
          if (column.metric !== undefined) state.metric = column.metric;
          state.page = 0;
          update();
          table.querySelector(`th[data-key="${column.key}"] button`).focus();
        });
        const ends = column.metric === undefined ? null : element("span", { class: "scale", "aria-hidden": "true" }, scales[column.metric].map((end) => Math.round(100 * end)).join("–"));
        const style = [column.text ? "" : "num", column.class || ""].join(" ").trim();
        const direction = sorted ? (state.descending ? "descending" : "ascending") : null;
        return element("th", { scope: "col", class: style, "aria-sort": direction, "data-key": column.key }, button, ends);
      });
      const by = `place by ${data.metrics[state.metric].name} among all ranked rows under the heading, variants too`;
      if (!alone) cells.unshift(element("th", { scope: "col", class: "num place", title: by }, element("span", { "aria-hidden": "true" }, "#"), element("span", { class: "unseen" }, by)));
      return element("tr", {}, ...cells);
    }

    function figure(row, metric) {
      const cell = row[CELLS][metric];
      if (!Array.isArray(cell)) return element("td", { class: "num" }, ...missing(data.texts[cell]));
      const [mean, spread, low, high, videos, lacking, why] = cell;
      const parts = [element("span", { class: "mean" }, percent(mean))];
      if (spread !== null) parts.push(element("span", { class: "spread" }, ` ±${percent(spread)}`));
      if (why !== undefined) parts.push(note(data.texts[why]));
      if (low !== null && high !== null) {
        const [start, end] = scales[metric];
        const at = (point) => `${((100 * (point - start)) / (end - start)).toFixed(1)}%`;
        const beyond = mean < start ? "interval below" : mean > end ? "interval above" : "interval";
        const bar = element("span", { class: beyond, "aria-hidden": "true", style: `--low:${at(low)};--high:${at(high)};--mean:${at(mean)}` });
        parts.push(bar, element("span", { class: "unseen" }, ` 95 % interval ${percent(low)} to ${percent(high)}, over`), element("span", { class: "videos" }, ` n=${videos}`));
      }
      const deviation = spread === null ? "" : `, deviation over seeds ${(100 * spread).toFixed(2)}`;
      const interval = low === null || high === null ? (lacking === null ? "" : `; no interval: ${data.texts[lacking]}`) : `, 95 % interval ${percent(low)} to ${percent(high)} over ${videos} test videos`;
      return element("td", { class: "num", title: `${(100 * mean).toFixed(2)} %${deviation}${interval}` }, ...parts);
    }

    function lead(row) {
      const method = data.methods[row[METHOD]];
      const name = alone ? element("span", { class: "streams" }, ...breakable(texts.features(row))) : element("a", { href: method.href }, method.name);
      const below = [element("span", { class: "remark" }, data.texts[row[REMARK]])];
      if (!alone) below.unshift(element("span", { class: "narrow streams" }, ...breakable(texts.features(row))));
      return element("th", { scope: "row" }, name, ...below);
    }

    function cellOf(row, column, first) {
      if (first) return lead(row);
      if (column.key === "features") return element("td", { class: "wide streams" }, ...breakable(texts.features(row)));
      if (column.key === "seeds") return element("td", { class: "num wide" }, String(row[SEEDS]), row[FAILURES] >= 0 ? note(data.texts[row[FAILURES]]) : null);
      if (column.metric !== undefined) return figure(row, column.metric);
      const known = column.value(row);
      return element("td", { class: "num" }, ...(known === null ? missing("not recorded") : [amount(known)]));
    }

    function placeCell(row) {
      const found = row[PLACES][state.metric];
      if (row[UNRANKED] < 0 && found > 0) return element("td", { class: "num place" }, String(found));
      const why = data.texts[row[UNRANKED] >= 0 ? row[UNRANKED] : -1 - found];
      return element("td", { class: "num place" }, ...missing(why));
    }

    function heading(group, width) {
      const { dataset, href, training, rules } = data.groups[group];
      const name = without.includes("dataset") ? element("span", {}, training) : element("a", { href }, dataset);
      const what = without.includes("dataset") ? ` ${rules}` : ` ${training}; ${rules}`;
      return element("tr", { class: "group" }, element("th", { scope: "rowgroup", colspan: width }, name, element("span", { class: "remark" }, what)));
    }

    function body() {
      const shownColumns = columns();
      const width = shownColumns.length + (alone ? 0 : 1);
      const bodies = [];
      let last = null;
      for (const row of shown.slice(state.page * PAGE, (state.page + 1) * PAGE)) {
        if (row[GROUP] !== last) bodies.push(element("tbody", {}, heading(row[GROUP], width)));
        last = row[GROUP];
        const cells = shownColumns.map((column, index) => cellOf(row, column, index === 0));
        if (!alone) cells.unshift(placeCell(row));
        bodies[bodies.length - 1].append(element("tr", {}, ...cells));
      }
      return bodies;
    }

    function status() {
      const [from, to] = [state.page * PAGE + 1, Math.min((state.page + 1) * PAGE, shown.length)];
      const count = (n) => n.toLocaleString("en");
      const rows = `${count(shown.length)} of ${count(data.rows.length)} rows`;
      const part = shown.length > PAGE ? `, ${count(from)} to ${count(to)} shown` : "";
      const why = unusual ? "; variants, as no row of the first view matches" : "";
      place.querySelector(".status").textContent = shown.length ? `${rows}${part}${why}` : "No row matches; Reset shows the first view.";
      pages.hidden = shown.length <= PAGE;
      const [back, forth] = pages.querySelectorAll("button");
      back.disabled = state.page === 0;
      forth.disabled = to >= shown.length;
      pages.querySelector("span").textContent = `${state.page + 1} of ${Math.max(1, Math.ceil(shown.length / PAGE))}`;
    }

    function update() {
      const show = form.elements.show.value;
      if (!columns().some((column) => column.key === state.key)) {
        state.metric = data.metrics[Number(show)] ? Number(show) : 0;
        state.key = String(state.metric);
        state.descending = data.metrics[state.metric].better > 0;
      }
      const column = columns().find((one) => one.key === state.key);
      const rows = sortRows(column, state.descending).filter(filter());
      const usual = variants.checked ? rows : rows.filter((row) => row[USUAL]);
      shown = usual.length ? usual : rows;
      unusual = shown.length > usual.length && !variants.hidden;
      scales = data.metrics.map((_, metric) => scale(shown, metric));
      render();
    }

    function render() {
      notes = [];
      table.classList.toggle("single", data.metrics[Number(form.elements.show.value)] !== undefined);
      const bodies = body();
      table.tHead.replaceChildren(header());
      [...table.tBodies].forEach((one) => one.remove());
      table.append(...bodies);
      place.querySelector(".notes").replaceChildren(...notes.map((text, index) => element("li", { id: `note-${number}-${index + 1}` }, text)));
      status();
    }

    // Filters stand in the address, so that a view can be linked to.
    function remember() {
      if (number > 0) return;
      const chosen = new URLSearchParams();
      for (const name of [...filtered, "show", "find"]) {
        const { value: choice } = form.elements[name];
        if (choice && !(name === "show" && choice === "main")) chosen.set(name, choice);
      }
      if (variants.checked) chosen.set("variants", "all");
      history.replaceState(null, "", chosen.size ? `#${chosen}` : location.pathname + location.search);
    }

    function fill() {
      const first = data.rows.filter((row) => row[USUAL]).length;
      variants.hidden = first === 0 || first === data.rows.length;
      variants.closest("label").hidden = variants.hidden;
      form.hidden = variants.hidden && form.dataset.filters === "none";
      for (const name of filtered) {
        form.elements[name].append(...choices(name).map((choice) => element("option", { value: choice }, choice)));
      }
      const metrics = data.metrics.map((metric, index) => element("option", { value: index }, metric.name));
      form.elements.show.append(element("option", { value: "main" }, "main metrics"), element("option", { value: "all" }, "all metrics"), ...metrics, element("option", { value: "cost" }, "cost"));
    }

    function restore() {
      const wanted = number > 0 ? new URLSearchParams() : new URLSearchParams(location.hash.slice(1));
      for (const name of [...filtered, "find", "show"]) {
        if (wanted.has(name)) form.elements[name].value = wanted.get(name);
      }
      if (!wanted.has("show") || !form.elements.show.value) form.elements.show.value = initial();
      variants.checked = wanted.get("variants") === "all";
    }

    // What is shown at first: on a phone one metric, which fits.
    function initial() {
      return place.dataset.show === "main" && matchMedia("(max-width: 720px)").matches ? "0" : place.dataset.show;
    }

    fill();
    restore();
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => { state.page = 0; update(); remember(); });
    form.addEventListener("reset", () => setTimeout(() => { form.elements.show.value = initial(); state.page = 0; update(); remember(); }));
    pages.addEventListener("click", (event) => {
      const step = Number(event.target.dataset.step);
      if (!step) return;
      state.page += step;
      render();
      table.scrollIntoView({ block: "nearest" });
    });
    update();
  }

  // A table whose rows are in the page: a button in every header.
  function sortable(table) {
    const rows = [...table.tBodies[0].rows];
    const read = (row, index) => {
      const text = row.cells[index].textContent.trim();
      if (text === "" || text.startsWith("–")) return null;
      return table.tHead.rows[0].cells[index].classList.contains("num") ? Number(text.replaceAll(",", "")) : text;
    };
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = element("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const descending = before ? before === "ascending" : head.dataset.first === "descending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        table.tBodies[0].append(...rows.sort((a, b) => compare(read(a, index), read(b, index), descending)));
      });
    });
  }

  if (data) document.querySelectorAll(".board").forEach(board);
  document.querySelectorAll("table.sortable").forEach(sortable);
})();
