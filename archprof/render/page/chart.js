// The chart: Vega-Lite draws, the ring and the tip follow the pointer and the arrow keys.

const chart = { drawn: null, points: [], at: -1, running: 0 };
const [FONT, LINE] = ["11px system-ui, sans-serif", 14];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const domainOf = (values, log, measure) => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (log) return [low / 1.3, high * 1.3];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 && low < 0.3 * high && !measure.plain ? Math.min(0, low - room / 2) : low - room, high + room];
};

const axisOf = (name, points) => {
  const measure = measures.get(view[name]);
  const log = isLog(measure);
  const values = points.map((point) => point[name]);
  return {
    field: name,
    type: "quantitative",
    title: heading(measure),
    scale: { type: log ? "log" : "linear", ...(log ? {} : { zero: false }), nice: false, domain: domainOf(values.length ? values : [1, 2], log, measure) },
    axis: { format: ",.10~g", ...(log ? { values: ticks(values) } : { tickCount: 6 }) },
  };
};

// 1, 2 and 5 times powers of ten, fewer over many decades.
const ticks = (values) => {
  const [low, high] = [Math.min(...values) / 1.3, Math.max(...values) * 1.3];
  const digits = high / low < 300 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const digit of digits) found.push(Number(`${digit}e${power}`));
  }
  return found.filter((tick) => low <= tick && tick <= high);
};

const areaOf = (size, largest, width) => (view.size ? Math.max(14, (size / largest) * (width < 600 ? 900 : 1800)) : width < 600 ? 40 : 60);

const specOf = ({ points, front }, width, height) => {
  const [x, y] = [axisOf("x", points), axisOf("y", points)];
  const largest = Math.max(...points.map((point) => point.size), 1e-300);
  for (const point of points) point.area = areaOf(point.size, largest, width);
  const anyMarked = points.some((point) => point.network.marked);
  const values = points
    .map((point) => ({
      x: point.x,
      y: point.y,
      area: point.area,
      colour: data.families[point.network.family].colour,
      fill: point.sure ? 0.7 : 0,
      pale: anyMarked && !point.network.marked ? 0.45 : 1,
      marked: point.network.marked,
    }))
    .sort((a, b) => a.marked - b.marked || b.area - a.area);
  const place = { x, y };
  const plain = { scale: null, legend: null, type: "quantitative" };
  const ink = colour("--ink");
  return {
    width,
    height,
    autosize: { type: "fit", contains: "padding" },
    background: colour("--paper"),
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: { labelColor: ink, titleColor: ink, gridColor: colour("--grid"), domainColor: colour("--muted"), tickColor: colour("--muted"), titleFontWeight: "normal", titleFontSize: 13, labelFontSize: 12 },
      aria: false,
    },
    layer: [
      {
        data: { values: front.map(({ x: a, y: b }) => ({ x: a, y: b })) },
        mark: { type: "line", strokeDash: [5, 3], color: colour("--muted"), interpolate: measures.get(view.x).better === "low" ? "step-after" : "step-before" },
        encoding: place,
      },
      {
        data: { values },
        mark: { type: "point", shape: "circle", strokeWidth: 1 },
        encoding: {
          ...place,
          size: { ...plain, field: "area" },
          fill: { scale: null, legend: null, field: "colour", type: "nominal" },
          stroke: { condition: { test: "datum.marked", value: ink }, scale: null, legend: null, field: "colour", type: "nominal" },
          strokeWidth: { condition: { test: "datum.marked", value: 2.5 }, value: 1 },
          fillOpacity: { ...plain, field: "fill" },
          opacity: { ...plain, field: "pale" },
        },
      },
      ...[{ stroke: colour("--paper"), strokeWidth: 3, strokeOpacity: 0.85 }, {}].map((halo) => ({
        data: { name: "labels", values: [] },
        mark: { type: "text", color: ink, fontSize: 11, align: { expr: "datum.align" }, baseline: { expr: "datum.baseline" }, dx: { expr: "datum.dx" }, dy: { expr: "datum.dy" }, ...halo },
        encoding: { ...place, text: { field: "text", type: "nominal" } },
      })),
    ],
  };
};

// Labels of marked networks, then of the front from its best end on: clear of each other and of the points, but that a
// marked one is written in any case.
const labelsFor = ({ points, front }) => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  const [wide, high] = [chart.drawn.width(), chart.drawn.height()];
  const discs = points.map(discOf);
  const labels = [];
  const marked = points.filter((point) => point.network.marked);
  for (const point of [...marked, ...[...front].reverse().filter((one) => !one.network.marked)]) {
    if (labels.length >= (wide < 500 ? 12 : 40)) break;
    const { label } = point.network;
    const text = label.length > 40 ? `${label.slice(0, 39)}…` : label;
    const places = placesOf(point, pen.measureText(text).width).filter(
      ({ box }) => box.x0 >= 0 && box.x1 <= wide && box.y0 >= -8 && box.y1 <= high && !labels.some((other) => overlap(box, other.box)),
    );
    const clear = places.find(({ box }) => !discs.some((disc) => disc.point !== point && overlap(box, disc)));
    const found = clear ?? (point.network.marked ? places[0] : undefined);
    if (found) labels.push({ x: point.x, y: point.y, text, ...found });
  }
  return labels.map(({ box, ...label }) => label);
};

const placesOf = ({ px, py, radius }, width) =>
  [4, 12, 24].flatMap((far) => {
    const away = radius + far;
    const aslant = away * 0.7;
    const at = (align, baseline, dx, dy) => {
      const x0 = px + dx - { left: 0, center: width / 2, right: width }[align];
      const y0 = py + dy - { top: 0, middle: LINE / 2, bottom: LINE }[baseline];
      return { align, baseline, dx, dy, box: { x0, y0, x1: x0 + width, y1: y0 + LINE } };
    };
    return [
      at("right", "bottom", -aslant, -aslant),
      at("right", "middle", -away, 0),
      at("left", "middle", away, 0),
      at("center", "bottom", 0, -away),
      at("left", "bottom", aslant, -aslant),
      at("left", "top", aslant, aslant),
      at("center", "top", 0, away),
    ];
  });
const discOf = (point) => ({ point, x0: point.px - point.radius, x1: point.px + point.radius, y0: point.py - point.radius, y1: point.py + point.radius });
const overlap = (a, b) => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;

const drawChart = async (now) => {
  const turn = (chart.running += 1);
  const box = byId("chart");
  const began = performance.now();
  const width = box.clientWidth;
  const height = Math.round(Math.max(320, Math.min(0.6 * width, 620)));
  letGo();
  const result = await vegaEmbed(byId("drawing"), specOf(now, width, height), { ast: true, actions: false, renderer: "canvas", tooltip: false });
  if (turn !== chart.running) return;
  chart.result?.finalize();
  Object.assign(chart, { result, drawn: result.view, points: [...now.points].sort((a, b) => a.x - b.x || a.y - b.y), at: -1 });
  const [x, y] = [result.view.scale("x"), result.view.scale("y")];
  for (const point of now.points) Object.assign(point, { px: x(point.x), py: y(point.y), radius: Math.sqrt(point.area / Math.PI) });
  await result.view.data("labels", labelsFor(now)).runAsync();
  box.setAttribute("aria-label", `${heading(measures.get(view.y))} against ${heading(measures.get(view.x))}, ${now.points.length} networks`);
  box.dataset.ready = String(turn);
  box.dataset.milliseconds = String(Math.round(performance.now() - began));
};

const details = (network) => {
  const rows = [["Family", data.families[network.family].name], ["Source", data.sources[network.source]], ["Input", network.input]];
  const list = element("dl");
  const add = (term, text, kind = "") => list.append(element("dt", { textContent: term }), element("dd", { textContent: text, className: kind }));
  for (const [term, text] of rows) if (text) add(term, text, "text");
  for (const measure of data.measures) {
    const value = valueOf(network, measure);
    if (value !== null) add(heading(measure), `${doubtOf(network, measure) ? "~ " : ""}${shown(value, measure)}`);
  }
  if (network.claim !== null) add("Accuracy of", data.claims[network.claim], "text");
  for (const [batch, why] of Object.entries(network.doubts)) add(`~ batch ${batch}`, why, "text");
  return [element("strong", { textContent: network.label }), list];
};

const lookAt = (place, speak) => {
  chart.at = place;
  const point = chart.points[place];
  const [left, top] = chart.drawn.origin();
  const [ring, tip] = [byId("ring"), byId("tip")];
  const [x, y, reach] = [point.px + left, point.py + top, point.radius + 3];
  Object.assign(ring.style, { left: `${x - reach}px`, top: `${y - reach}px`, width: `${2 * reach}px`, height: `${2 * reach}px` });
  tip.replaceChildren(...details(point.network));
  ring.hidden = tip.hidden = false;
  const room = byId("chart").clientWidth;
  const beside = x + reach + 8 + tip.offsetWidth <= room ? x + reach + 8 : x - reach - 8 - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(beside, room - tip.offsetWidth))}px`;
  const covers = beside < 0;
  const wanted = covers ? y + reach + 8 : y - tip.offsetHeight / 2;
  tip.style.top = `${Math.max(0, covers ? wanted : Math.min(wanted, byId("chart").clientHeight - tip.offsetHeight))}px`;
  if (speak) {
    const [a, b] = [measures.get(view.x), measures.get(view.y)];
    byId("spoken").textContent = `${point.network.label}: ${a.title} ${shown(point.x, a)} ${a.unit}, ${b.title} ${shown(point.y, b)} ${b.unit}`;
  }
};

const letGo = () => {
  chart.at = -1;
  byId("ring").hidden = byId("tip").hidden = true;
};

// The smallest disc under the pointer, else the nearest one within reach of a finger.
const under = (event) => {
  if (!chart.drawn) return -1;
  const box = byId("drawing").getBoundingClientRect();
  const [left, top] = chart.drawn.origin();
  const [x, y] = [event.clientX - box.left - left, event.clientY - box.top - top];
  let [best, least] = [-1, event.pointerType === "touch" ? 28 : 14];
  chart.points.forEach((point, place) => {
    const away = Math.hypot(point.px - x, point.py - y);
    const score = away <= point.radius ? point.radius / 1000 - 1 : away - point.radius;
    if (score < least) [best, least] = [place, score];
  });
  return best;
};

const listenToChart = () => {
  const box = byId("chart");
  const follow = (event) => {
    const place = under(event);
    if (place < 0) letGo();
    else if (place !== chart.at) lookAt(place, false);
  };
  box.addEventListener("pointermove", follow);
  box.addEventListener("pointerdown", follow);
  box.addEventListener("pointerleave", (event) => event.pointerType === "touch" || letGo());
  box.addEventListener("click", (event) => {
    const place = under(event);
    if (place >= 0) toggleMark(chart.points[place].network);
  });
  box.addEventListener("keydown", (event) => {
    const last = chart.points.length - 1;
    const steps = { ArrowRight: chart.at + 1, ArrowUp: chart.at + 1, ArrowLeft: chart.at < 0 ? last : chart.at - 1, ArrowDown: chart.at < 0 ? last : chart.at - 1, Home: 0, End: last };
    if (event.key in steps && last >= 0) lookAt(Math.max(0, Math.min(steps[event.key], last)), true);
    else if (event.key === "Enter" && chart.at >= 0) toggleMark(chart.points[chart.at].network);
    else if (event.key === "Escape") letGo();
    else return;
    event.preventDefault();
  });
  box.addEventListener("blur", letGo);
};
