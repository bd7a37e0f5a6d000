"use strict";
// What is drawn, by Observable Plot: each function gives the picture of one figure, `width` pixels wide.
// `at` are the figure's data attributes, `data` is what the page embeds.

const MANY = 30; // tensors that still have a line with their name; more are numbered

const short = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 5)}…${text.slice(-4)}`);
const digits = (value) => (Math.abs(value) >= 1000 ? d3.format(",.0f")(value) : String(+value.toPrecision(4)));
const positive = (values) => values.length > 0 && Math.min(...values) > 0;

/** Options that all figures share; colours come from the page, so that they follow its theme. */
function frame(width, more) {
  const style = { background: "none", color: "inherit", fontSize: "12px", overflow: "visible" };
  return { width, style, marginLeft: 56, marginTop: 26, marginBottom: 40, marginRight: 14, ...more };
}

/** A place for each name: lines of names where they fit, numbers where they are too many. */
function places(names, width) {
  const most = width < 420 ? 14 : 26;
  if (names.length > MANY) return { many: true };
  const left = 12 + 7 * Math.min(most, Math.max(...names.map((name) => name.length)));
  return { many: false, left, height: 58 + 22 * names.length, label: (name) => short(name, most) };
}

const charts = {
  front(data, at, width) {
    const { front } = data;
    const cost = at.cost;
    const name = cost in front.units ? `${cost}, ${front.units[cost]}` : cost;
    const all = [...front.points, ...front.uniform];
    const x = (point) => point.costs[cost];
    const told = (point) => `${point.title}\n${cost} ${digits(x(point))}\nloss +${digits(point.loss)}`;
    const own = { x, y: "loss", ariaLabel: (point) => told(point).replaceAll("\n", ", ") };
    const chosen = front.points.filter((point) => point.chosen);
    const budget = cost in front.budgets ? [front.budgets[cost]] : [];
    return Plot.plot(
      frame(width, {
        height: 360, marginLeft: 64, marginTop: 30, inset: 14,
        ariaLabel: `${front.losses} loss increase against ${name}`,
        x: { label: `${name} (estimated) →`, tickFormat: "~s", nice: true, grid: true, ticks: width / 90 },
        y: {
          label: `↑ ${front.losses} loss increase, ${data.loss_unit} (${front.losses === "predicted" ? "estimated" : "simulated"})`, grid: true,
          type: positive(all.map((point) => point.loss)) ? "log" : "linear", tickFormat: "~g", ticks: 5,
        },
        marks: [
          Plot.ruleX(budget, { className: "budget", stroke: "var(--bad)", strokeDasharray: "5,4" }),
          Plot.text(budget, { x: (most) => most, frameAnchor: "bottom", text: () => "budget", fill: "var(--bad)", dx: -5, dy: -4, textAnchor: "end" }),
          cost === front.cost ? Plot.line(front.points, { x, y: "loss", stroke: "var(--one)", strokeWidth: 1 }) : null,
          Plot.dot(front.uniform, { ...own, symbol: "square", r: 4.5, stroke: "var(--two)", strokeWidth: 1.8, fill: "var(--paper)" }),
          Plot.dot(front.points, { ...own, r: 3.5, fill: "var(--one)" }),
          Plot.dot(chosen, { x, y: "loss", symbol: "star", r: 9, fill: "var(--chosen)", stroke: "var(--paper)", pointerEvents: "none" }),
          Plot.text(front.uniform, { x, y: "loss", text: (point) => `${point.width} b`, dy: -17, fill: "var(--two)", stroke: "var(--paper)", strokeWidth: 4 }),
          Plot.tip(all, Plot.pointer({ x, y: "loss", title: told })),
        ],
      }),
    );
  },

  sensitivity(data, at, width) {
    const metric = data.sensitivity.metrics[at.metric];
    const order = metric.scores.filter((score) => score.kind === at.kind).map((score) => score.tensor);
    const found = new Map(metric.ranking[at.kind].map((place) => [place.tensor, place]));
    const rows = order.filter((name) => found.has(name)).map((name) => found.get(name));
    const where = places(rows.map((row) => row.tensor), width);
    const log = positive(rows.map((row) => row.figure));
    const least = Math.min(...rows.map((row) => row.figure)) / 3;
    const low = (row) => (log ? Math.max(row.figure - row.error, least) : row.figure - row.error);
    const title = (row) => `${row.tensor}\n${digits(row.figure)} ± ${digits(row.error)}`;
    const scale = { label: `${metric.ranked_by}${log ? " (logarithmic)" : ""}`, type: log ? "log" : "linear", grid: true, tickFormat: "~g" };
    const style = { stroke: "var(--one)", strokeWidth: 2 };
    return where.many
      ? Plot.plot(frame(width, {
          height: 300,
          x: { label: "place in the network →" },
          y: { ...scale, label: `↑ ${scale.label}` },
          marks: [
            Plot.ruleX(rows, { x: (_, index) => index + 1, y1: low, y2: (row) => row.figure + row.error, ...style }),
            Plot.dot(rows, { x: (_, index) => index + 1, y: "figure", r: 2.5, fill: "var(--one)" }),
            Plot.tip(rows, Plot.pointerX({ x: (_, index) => index + 1, y: "figure", title })),
          ],
        }))
      : Plot.plot(frame(width, {
          height: where.height, marginLeft: where.left, insetLeft: 10, insetRight: 10,
          x: { ...scale, label: `${scale.label} →`, ticks: width / 110 },
          y: { label: null, domain: rows.map((row) => row.tensor), tickFormat: where.label, grid: true, tickSize: 0 },
          marks: [
            Plot.ruleY(rows, { y: "tensor", x1: low, x2: (row) => row.figure + row.error, ...style }),
            Plot.tickX(rows, { y: "tensor", x: low, inset: 5, ...style }),
            Plot.tickX(rows, { y: "tensor", x: (row) => row.figure + row.error, inset: 5, ...style }),
            Plot.dot(rows, { y: "tensor", x: "figure", r: 4, fill: "var(--one)", stroke: "var(--paper)" }),
            Plot.tip(rows, Plot.pointerY({ y: "tensor", x: "figure", title })),
          ],
        }));
  },

  bits(data, at, width) {
    const rows = data.layers;
    const where = places(rows.map((row) => row.name), width);
    const [low, high] = [(row) => row.weight_bits[0], (row) => row.weight_bits[1]];
    const words = (row) => (low(row) === high(row) ? low(row) : `${low(row)} to ${high(row)}`);
    const title = (row) => `${row.name}\nweights ${words(row)} bits\ninput ${row.activation_bits} bits`;
    const most = Math.max(...rows.map((row) => Math.max(high(row), row.activation_bits)));
    const scale = { domain: [0, most + 1], grid: true, ticks: Math.min(most + 1, 10) };
    const weights = { stroke: "var(--one)", strokeWidth: 6, strokeLinecap: "round" };
    return where.many
      ? Plot.plot(frame(width, {
          height: 300,
          x: { label: "layer, by its place in the network →" },
          y: { ...scale, label: "↑ bits" },
          marks: [
            Plot.ruleX(rows, { x: (_, index) => index + 1, y1: low, y2: high, ...weights, strokeWidth: 2.5 }),
            Plot.dot(rows, { x: (_, index) => index + 1, y: high, r: 2.2, fill: "var(--one)" }),
            Plot.dot(rows, { x: (_, index) => index + 1, y: "activation_bits", r: 2.6, symbol: "square", stroke: "var(--two)" }),
            Plot.tip(rows, Plot.pointerX({ x: (_, index) => index + 1, y: high, title })),
          ],
        }))
      : Plot.plot(frame(width, {
          height: where.height, marginLeft: where.left,
          x: { ...scale, label: "bits →" },
          y: { label: null, domain: rows.map((row) => row.name), tickFormat: where.label, grid: true, tickSize: 0 },
          marks: [
            Plot.ruleY(rows, { y: "name", x1: low, x2: high, ...weights }),
            Plot.dot(rows, { y: "name", x: high, r: 5, fill: "var(--one)" }),
            Plot.dot(rows, { y: "name", x: "activation_bits", r: 5, symbol: "square", stroke: "var(--two)", strokeWidth: 2, fill: "var(--paper)" }),
            Plot.tip(rows, Plot.pointerY({ y: "name", x: high, title })),
          ],
        }));
  },

  weights(data, at, width) {
    const { levels, rounded, edges, before, step, lsb } = data.layers[at.layer].histogram;
    const parts = (edges.length - 1) / levels.length;
    const bars = levels.map((level, index) => ({ level, count: rounded[index] }));
    const finer = (before ?? []).map((count, index) => ({ from: edges[index], to: edges[index + 1], count: count * parts }));
    return Plot.plot(frame(width, {
      height: 200,
      x: { label: "weight →", ticks: width / 80 },
      y: { label: "↑ weights per line (root scale)", type: "sqrt", grid: true, ticks: 4, tickFormat: "~s" },
      marks: [
        Plot.ruleX(levels, { stroke: "currentColor", strokeOpacity: 0.16 }),
        Plot.rectY(finer, { x1: "from", x2: "to", y: "count", fill: "var(--two)", fillOpacity: 0.45 }),
        Plot.ruleX(bars.filter((bar) => bar.count > 0), { x: "level", y: "count", stroke: "var(--one)", strokeWidth: 2 }),
        Plot.dot(bars.filter((bar) => bar.count > 0), { x: "level", y: "count", r: 2.5, fill: "var(--one)" }),
        Plot.ruleY([0]),
        Plot.tip(bars, Plot.pointerX({ x: "level", y: "count", title: (bar) => `${digits(bar.level)}${step === lsb ? "" : ` ± ${digits(step / 2)}`}\n${bar.count} weights` })),
      ],
    }));
  },

  roc(data, at, width) {
    const shown = data.roc.slice(0, 10);
    const points = shown.flatMap((each) =>
      Object.entries(each.curves).flatMap(([network, curve]) =>
        curve.background.map((background, index) => ({
          signal: each.signal.join(" + "), network, background, efficiency: curve.signal[index],
        })),
      ),
    ).filter((point) => point.background > 0);
    const cuts = shown.filter((each) => each.rate).map((each) => ({
      signal: each.signal.join(" + "),
      background: each.rate.most_khz / (1000 * each.rate.input_mhz),
      efficiency: each.curves.quantized.point.signal_efficiency,
    }));
    return Plot.plot(frame(width, {
      height: 360,
      x: { type: "log", label: "background efficiency →", tickFormat: "~g", ticks: width / 110, grid: true },
      y: { label: "↑ signal efficiency", domain: [0, 1], grid: true },
      color: { domain: shown.map((each) => each.signal.join(" + ")), scheme: "observable10", legend: true },
      marks: [
        Plot.line(points.filter((point) => point.network === "float"), { x: "background", y: "efficiency", stroke: "signal", strokeDasharray: "2,4", strokeWidth: 2.4 }),
        Plot.line(points.filter((point) => point.network === "quantized"), { x: "background", y: "efficiency", stroke: "signal", strokeWidth: 1.6 }),
        Plot.ruleX(cuts, { x: "background", stroke: "var(--bad)", strokeDasharray: "5,4" }),
        Plot.dot(cuts, { x: "background", y: "efficiency", stroke: "signal", fill: "var(--paper)", r: 5, strokeWidth: 2 }),
        Plot.tip(points, Plot.pointer({ x: "background", y: "efficiency", title: (point) => `${point.signal}, ${point.network}\nsignal ${digits(point.efficiency)}\nbackground ${digits(point.background)}` })),
      ],
    }));
  },

  finetune(data, at, width) {
    const { training, validation, best_epoch: best, loss_unit: unit } = data.finetune;
    const points = [
      ...validation.map((loss, epoch) => ({ epoch, loss, of: "validation" })),
      ...training.map((loss, index) => ({ epoch: index + 1, loss, of: "training" })),
    ];
    return Plot.plot(frame(width, {
      height: 300,
      x: { label: "epoch →", ticks: Math.min(10, training.length), tickFormat: "d" },
      y: { label: `↑ loss, ${unit}`, grid: true, ticks: 5, nice: true },
      color: { domain: ["validation", "training"], range: ["var(--one)", "var(--two)"], legend: true },
      marks: [
        Plot.ruleX([best], { stroke: "var(--chosen)", strokeDasharray: "5,4" }),
        Plot.line(points, { x: "epoch", y: "loss", stroke: "of", strokeWidth: 1.8 }),
        Plot.dot([{ epoch: best, loss: validation[best] }], { x: "epoch", y: "loss", symbol: "star", r: 8, fill: "var(--chosen)" }),
        Plot.tip(points, Plot.pointer({ x: "epoch", y: "loss", title: (point) => `${point.of}, epoch ${point.epoch}\n${point.loss.toPrecision(5)}` })),
      ],
    }));
  },

  passes(data, at, width) {
    const left = 12 + 7 * Math.max(...data.passes.map((run) => run.name.length));
    return Plot.plot(frame(width, {
      height: 58 + 22 * data.passes.length, marginLeft: left, marginRight: 60,
      x: { label: "seconds →", grid: true, ticks: width / 90 },
      y: { label: null, domain: data.passes.map((run) => run.name), tickSize: 0 },
      marks: [
        Plot.barX(data.passes, { x: "seconds", y: "name", fill: (run) => (run.status === "ran" ? "var(--one)" : "var(--faint)") }),
        Plot.text(data.passes, { x: "seconds", y: "name", text: (run) => (run.status === "ran" ? `${d3.format(run.seconds < 10 ? ".2f" : ".1f")(run.seconds)} s` : "cached"), textAnchor: "start", dx: 5 }),
        Plot.ruleX([0]),
      ],
    }));
  },
};
