// The table of what is shown, sorted, and the same as CSV.

const FIRST = 100; // rows at first: all of a thousand would make every keystroke wait
let rowsShown = FIRST;

const TEXTS = [
  { key: "label", title: "Network", of: (network) => network.label },
  { key: "family", title: "Family", of: (network) => data.families[network.family].name },
  { key: "source", title: "Source", of: (network) => data.sources[network.source] },
  { key: "input", title: "Input", of: (network) => network.input },
];
const names = new Intl.Collator("en", { numeric: true });

// By the column chosen; what is not known comes last, whatever the direction.
const sorted = (rows) => {
  const { key, down } = view.sort;
  const text = TEXTS.find((column) => column.key === key);
  const read = text ? text.of : (network) => valueOf(network, measures.get(key));
  const order = (a, b) => {
    const [one, other] = [read(a), read(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    const found = text ? names.compare(one, other) : one - other;
    return (down ? -found : found) || names.compare(a.label, b.label);
  };
  return [...rows].sort(order);
};

const drawHead = () => {
  const row = element("tr");
  for (const { key, title, text } of [
    { ...TEXTS[0], text: true },
    ...data.measures.map((measure) => ({ key: measure.key, title: heading(measure) })),
    ...TEXTS.slice(1).map((column) => ({ ...column, text: true })),
  ]) {
    const button = element("button", { type: "button", textContent: title });
    button.addEventListener("click", () => {
      const first = text ? false : measures.get(key).better === "high";
      view.sort = { key, down: view.sort.key === key ? !view.sort.down : first };
      changed({ chart: false });
      [...row.cells].find((cell) => cell.dataset.key === key).querySelector("button").focus();
    });
    const cell = element("th", { scope: "col", className: text ? "text" : "" }, button);
    cell.dataset.key = key;
    row.append(cell);
  }
  byId("table").tHead.replaceChildren(row);
};

const drawTable = (now) => {
  for (const cell of byId("table").tHead.rows[0].cells) {
    const mine = cell.dataset.key === view.sort.key;
    cell.ariaSort = mine ? (view.sort.down ? "descending" : "ascending") : "none";
    const button = cell.firstChild;
    button.textContent = button.textContent.replace(/ [▲▼]$/, "") + (mine ? (view.sort.down ? " ▼" : " ▲") : "");
  }
  const rows = sorted(now.rows);
  byId("table").tBodies[0].replaceChildren(...rows.slice(0, rowsShown).map((network) => rowOf(network, now)));
  byId("more").hidden = rows.length <= rowsShown;
  byId("more").textContent = `Show all ${rows.length} rows`;
  byId("counted").textContent = `${rows.length} of ${networks.length} networks${rows.length > rowsShown ? `, the first ${rowsShown} below` : ""}; ◆ is on the Pareto front of the chart.`;
};

const rowOf = (network, now) => {
  const button = element("button", { type: "button", textContent: `${now.onFront.has(network) ? "◆ " : ""}${network.label}`, title: network.name });
  button.setAttribute("aria-pressed", String(network.marked));
  button.addEventListener("click", () => toggleMark(network));
  const row = element("tr", { className: network.marked ? "marked" : "" }, element("th", { scope: "row" }, button));
  for (const measure of data.measures) {
    const value = valueOf(network, measure);
    const doubt = value !== null && doubtOf(network, measure);
    row.append(element("td", { textContent: `${doubt ? "~" : ""}${shown(value, measure)}`, title: doubt || "" }));
  }
  for (const column of TEXTS.slice(1)) row.append(element("td", { className: "text", textContent: column.of(network) }));
  return row;
};

// Numbers in base units, as 'archprof compare --csv' writes them; text that a spreadsheet would compute has an apostrophe.
const csvOf = (rows) => {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const sizes = [...new Set(data.measures.map((measure) => measure.batch))].filter((size) => size !== null);
  const lines = [["name", "family", "source", "input_shape", ...data.measures.map((measure) => measure.key), ...sizes.map((size) => `why@${size}`), "accuracy_of", "error"]];
  for (const network of rows) {
    lines.push([
      network.name,
      data.families[network.family].name,
      data.sources[network.source],
      network.input,
      ...data.measures.map((measure) => measure.values[network.place]),
      ...sizes.map((size) => network.doubts[size]),
      network.claim === null ? "" : data.claims[network.claim],
      network.error,
    ]);
  }
  return lines.map((line) => line.map(cell).join(",") + "\n").join("");
};

const save = (name, type, text) => {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
