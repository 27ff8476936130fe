// What a reader chooses, and the first drawing.

let waiting = 0;

// Redraw at the next frame, once for all that changed until then.
const changed = ({ chart: withChart = true } = {}) => {
  const now = scene();
  drawTable(now);
  if (!withChart) return;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    tell(now);
    drawChart(now);
  });
};

const tell = (now) => {
  const lost = now.rows.length - now.points.length;
  const area = view.size ? ` Disc area: ${heading(measures.get(view.size))}.` : "";
  const front = view.x === view.y ? "" : ` Dashed: the Pareto front, ${now.front.length} networks that no other beats on both.`;
  const why = lost ? ` ${lost} more have no value for these axes${isLog(measures.get(view.x)) || isLog(measures.get(view.y)) ? ", or none above 0," : ""} and are in the table only.` : "";
  byId("told").textContent = `${now.points.length} of ${networks.length} networks.${area}${front}${why}`;
};

const toggleMark = (network) => {
  network.marked = !network.marked;
  drawMarks();
  changed();
};

const drawMarks = () => {
  byId("marked").replaceChildren(
    ...networks
      .filter((network) => network.marked)
      .map((network) => {
        const button = element("button", { type: "button", textContent: `${network.label} ×` });
        button.setAttribute("aria-label", `Unmark ${network.label}`);
        button.addEventListener("click", () => toggleMark(network));
        return element("li", {}, button);
      }),
  );
};

const later = (act) => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, 150);
  };
};

const drawAxes = () => {
  for (const name of ["x", "y", "size"]) {
    const select = byId(name);
    if (name === "size") select.append(element("option", { value: "", textContent: "all alike" }));
    for (const measure of data.measures) select.append(element("option", { value: measure.key, textContent: heading(measure) }));
    select.value = view[name];
    select.addEventListener("change", () => {
      view[name] = select.value;
      syncLog();
      changed();
    });
  }
  for (const name of ["x", "y"]) {
    byId(`${name}-log`).setAttribute("aria-label", `${name === "x" ? "Across" : "Up"}: logarithmic axis`);
    byId(`${name}-log`).addEventListener("change", (event) => {
      view.log[view[name]] = event.target.checked;
      syncLog();
      changed();
    });
  }
  syncLog();
};
const syncLog = () => ["x", "y"].forEach((name) => (byId(`${name}-log`).checked = isLog(measures.get(view[name]))));

const drawChoices = (id, entries, kept) => {
  const tally = entries.map((_, place) => networks.filter((network) => network[id === "families" ? "family" : "source"] === place).length);
  byId(id).replaceChildren(
    ...entries.map(({ name, colour: hue }, place) => {
      const tick = element("input", { type: "checkbox", checked: kept().has(place) });
      tick.addEventListener("change", () => {
        if (tick.checked) kept().add(place);
        else kept().delete(place);
        changed();
      });
      const label = element("label", {}, tick);
      if (hue) label.append(element("span", { className: "swatch", style: `background: ${hue}` }));
      label.append(element("span", { textContent: name }), element("span", { className: "tally", textContent: tally[place] }));
      return element("li", {}, label);
    }),
  );
};

const drawLimits = () => {
  byId("limits").tBodies[0].replaceChildren(
    ...data.measures.map((measure) => {
      const row = element("tr", {}, element("th", { scope: "row", textContent: heading(measure) }));
      for (const end of ["least", "most"]) {
        const input = element("input", { type: "number", step: "any" });
        input.setAttribute("aria-label", `${heading(measure)} at ${end}`);
        input.addEventListener("input", later(() => {
          const limit = view.limits.get(measure.key) ?? { least: null, most: null };
          limit[end] = input.value === "" ? null : Number(input.value);
          view.limits.set(measure.key, limit);
          if (limit.least === null && limit.most === null) view.limits.delete(measure.key);
          changed();
        }));
        row.append(element("td", {}, input));
      }
      return row;
    }),
  );
};

const drawAllChoices = () => {
  drawChoices("families", data.families, () => view.families);
  drawChoices("sources", data.sources.map((name) => ({ name })), () => view.sources);
  byId("families-box").hidden = data.families.length < 2;
  byId("greys").hidden = !data.families.some((family) => family.other);
  byId("sources-box").hidden = data.sources.length < 2;
  drawLimits();
};

const listen = () => {
  byId("axes").addEventListener("submit", (event) => event.preventDefault());
  byId("name").addEventListener("input", later(() => {
    view.name = byId("name").value;
    changed();
  }));
  byId("mark").addEventListener("change", () => {
    const words = byId("mark").value.trim();
    const network = networks.find((one) => one.name === words || one.label === words);
    byId("mark").setCustomValidity(network || !words ? "" : "No network has that name.");
    byId("mark").reportValidity();
    if (!network) return;
    byId("mark").value = "";
    if (!network.marked) toggleMark(network);
  });
  byId("front-only").addEventListener("change", (event) => {
    view.frontOnly = event.target.checked;
    changed();
  });
  for (const [id, kept] of [["families-all", () => data.families.keys()], ["families-none", () => []]]) {
    byId(id).addEventListener("click", () => {
      view.families = new Set(kept());
      drawChoices("families", data.families, () => view.families);
      changed();
    });
  }
  byId("reset").addEventListener("click", () => {
    Object.assign(view, usual());
    byId("name").value = "";
    byId("front-only").checked = false;
    drawAllChoices();
    changed();
  });
  byId("more").addEventListener("click", () => {
    rowsShown = Infinity;
    changed({ chart: false });
  });
  byId("csv").addEventListener("click", () => save("networks.csv", "text/csv;charset=utf-8", csvOf(sorted(scene().rows))));
  byId("picture").addEventListener("click", async () => save("networks.svg", "image/svg+xml", await chart.drawn.toSVG()));
  const themes = ["", "light", "dark"];
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const next = themes[(themes.indexOf(root.dataset.theme ?? "") + 1) % 3];
    root.dataset.theme = next;
    byId("theme").textContent = `Theme: ${next || "system"}`;
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed());
  let width = byId("chart").clientWidth;
  new ResizeObserver(later(() => {
    if (byId("chart").clientWidth === width) return;
    width = byId("chart").clientWidth;
    changed();
  })).observe(byId("chart"));
};

const items = (list, texts) => list.replaceChildren(...texts.map((text) => element("li", { textContent: text })));
const failures = networks.filter((network) => network.error);
byId("failed").hidden = failures.length === 0;
items(byId("failed").querySelector("ul"), failures.map((network) => `${network.label}: ${network.error}`));
items(byId("notes").querySelector("ul"), [...data.notes, ...data.warnings]);
byId("names").replaceChildren(...networks.map((network) => element("option", { value: network.name })));
drawAxes();
drawAllChoices();
drawMarks();
drawHead();
listenToChart();
listen();
changed();
