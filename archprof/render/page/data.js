// What the page knows, what is chosen, and what follows from both. Draws nothing.

const data = JSON.parse(document.getElementById("data").textContent);
const measures = new Map(data.measures.map((measure) => [measure.key, measure]));
const networks = data.networks.map((network, place) => ({ ...network, place, marked: data.start.highlight[place] }));

const usual = () => ({
  name: "",
  frontOnly: false,
  families: new Set(data.families.keys()),
  sources: new Set(data.sources.keys()),
  limits: new Map(), // key -> {least, most} in shown units
});
const view = {
  x: data.start.x,
  y: data.start.y,
  size: data.start.size,
  log: {},
  sort: { key: data.start.y, down: measures.get(data.start.y).better === "high" },
  ...usual(),
};

const heading = (measure) =>
  `${measure.title} (${measure.unit}${measure.batch === null ? "" : `, batch ${measure.batch}`})`;

// In the measure's unit; null where it is not known.
const valueOf = (network, measure) => {
  const value = measure.values[network.place];
  return value === null ? null : value * measure.factor;
};

const doubtOf = (network, measure) =>
  measure.batch === null ? "" : (network.doubts[measure.batch] ?? "");

const figures = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const decimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const shown = (value, measure) => (value === null ? "" : (measure.plain ? decimals : figures).format(value));

// Values that run over more than a factor of 100 would be crowded into a corner of a linear axis.
const usualLog = (measure) => {
  if (measure.plain) return false;
  const values = networks.map((network) => valueOf(network, measure)).filter((value) => value > 0);
  return values.length > 0 && Math.max(...values) > 100 * Math.min(...values);
};
const isLog = (measure) => view.log[measure.key] ?? usualLog(measure);
if (data.start.log !== null) view.log[view.x] = data.start.log;

// The networks that the name, families, sources and limits let through.
const chosen = () => {
  const words = view.name.trim().toLowerCase();
  return networks.filter((network) => {
    if (!view.families.has(network.family) || !view.sources.has(network.source)) return false;
    if (words && !network.name.toLowerCase().includes(words) && !network.label.toLowerCase().includes(words)) return false;
    for (const [key, { least, most }] of view.limits) {
      const value = valueOf(network, measures.get(key));
      if (value === null || (least !== null && value < least) || (most !== null && value > most)) return false;
    }
    return true;
  });
};

// Those of `rows` that have a place on the chart: {network, x, y, size, sure}.
const placed = (rows) => {
  const [x, y] = [measures.get(view.x), measures.get(view.y)];
  const size = view.size ? measures.get(view.size) : null;
  const points = [];
  for (const network of rows) {
    const point = {
      network,
      x: valueOf(network, x),
      y: valueOf(network, y),
      size: size ? valueOf(network, size) : 1,
      sure: !doubtOf(network, x) && !doubtOf(network, y),
    };
    const fits = (value, measure) => value !== null && (value > 0 || !isLog(measure));
    if (fits(point.x, x) && fits(point.y, y) && point.size !== null) points.push(point);
  }
  return points;
};

// The points that no other reliable one matches on both measures and beats on one, by rising x.
const frontOf = (points) => {
  const lowX = measures.get(view.x).better === "low";
  const lowY = measures.get(view.y).better === "low";
  const better = (a, b, low) => (low ? a - b : b - a);
  const sorted = points
    .filter((point) => point.sure)
    .sort((a, b) => better(a.x, b.x, lowX) || better(a.y, b.y, lowY));
  const front = [];
  let best = null;
  for (const point of sorted) {
    const same = best !== null && point.x === best.x && point.y === best.y;
    if (best === null || better(point.y, best.y, lowY) < 0 || same) {
      front.push(point);
      best = point;
    }
  }
  return front.sort((a, b) => a.x - b.x);
};

// Everything that is shown now: rows of the table, points of the chart, the front.
const scene = () => {
  let rows = chosen();
  let points = placed(rows);
  const front = view.x === view.y ? [] : frontOf(points);
  if (view.frontOnly) {
    const kept = new Set(front.map((point) => point.network));
    rows = rows.filter((network) => kept.has(network));
    points = points.filter((point) => kept.has(point.network));
  }
  return { rows, points, front, onFront: new Set(front.map((point) => point.network)) };
};

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const byId = (id) => document.getElementById(id);
