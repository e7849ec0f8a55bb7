"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const host = document.getElementById("charts");
  const charts = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = ["#e8912d", "#9b6dd6", "#2aa5a0", "#d0578f", "#7a9a2e", "#4c8fd6", "#b97a56", "#6b7a90"];
  const colour = (name) => () => css(name);
  const number = (decimals) => {
    const format = new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    return (v) => (v == null ? "–" : format.format(v));
  };
  const loose = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 7 });
  const moment = (s) => new Date(s * 1000).toISOString().replace("T", " ").replace(/\.?0*Z$/, "");
  const seconds = (list) => list.map((ms) => ms / 1000);

  // Everything from the run reaches the page through here, as text.
  const element = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  let times = [Infinity, -Infinity];
  for (const list of [data.equity.t, ...data.markets.map((m) => m.t)]) {
    if (list.length) times = [Math.min(times[0], list[0] / 1000), Math.max(times[1], list[list.length - 1] / 1000)];
  }
  if (!(times[1] > times[0])) {
    host.append(element("p", "note", "The run was too short for charts."));
    return;
  }

  // All charts show the same stretch of time.
  const zoom = (min, max) => {
    for (const chart of charts) {
      const { x } = chart.scales;
      // A chart that is there already must not answer, or charts would answer each other for ever.
      if (x.min !== min || x.max !== max) chart.setScale("x", { min, max });
    }
  };
  document.getElementById("reset").addEventListener("click", () => zoom(...times));

  const sync = uPlot.sync("time");
  const add = ({ title, height, series, table, format, axisFormat, draw, extra, range }) => {
    const box = element("div", "chart");
    const legend = element("div", "legend");
    legend.append(element("b", "", title));
    const values = series.map((s) => {
      const item = element("span");
      const key = element("i", s.key || "");
      if (!s.key && s.name) key.style.background = s.colour();
      const value = element("span");
      item.append(key, s.name + " ", value);
      if (!s.quiet) legend.append(item);
      return { key, value, s };
    });
    const when = element("span");
    legend.append(when);
    box.append(legend);
    host.append(box);
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--soft"), grid, ticks: { ...grid, size: 4 }, font: "11px system-ui, sans-serif" };
    const chart = new uPlot({
      width: box.clientWidth, height, ms: 1e-3,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { sync: { key: sync.key, setSeries: false }, focus: { prox: -1 }, points: { size: 6 }, drag: { x: true, y: false }, y: false,
        bind: { dblclick: () => () => zoom(...times) } },
      scales: { x: { time: true, range: (_, min, max) => (min == null ? times : [min, max]) }, y: range ? { range } : {} },
      axes: [
        { ...axis, values: [
          [86400 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
          [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
          [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
        ] },
        { ...axis, size: 76, values: (_, ticks) => ticks.map(axisFormat || format) },
      ],
      series: [{}, ...series.map((s) => ({
        stroke: s.colour, width: s.width ?? 1.4, fill: s.fill, spanGaps: true, paths: s.paths, points: s.points || { show: false },
      }))],
      hooks: {
        setScale: [(u, key) => { if (key === "x" && charts.includes(u)) zoom(u.scales.x.min, u.scales.x.max); }],
        setCursor: [(u) => {
          const idx = u.cursor.idx;
          when.textContent = idx == null ? "" : moment(u.data[0][idx]);
          values.forEach(({ value, s }, n) => {
            if (s.key) return;
            let i = idx;
            // Lists of other lengths are joined to one: the last value before the cursor holds.
            while (i != null && i > 0 && u.data[n + 1][i] == null) i--;
            value.textContent = i == null ? "" : (s.format || format)(u.data[n + 1][i]);
          });
          if (extra) extra(u, box);
        }],
        draw: draw ? [draw] : [],
      },
    }, table, box);
    chart.box = box;
    chart.keys = values;
    charts.push(chart);
  };

  const money = number(2);
  const compact = (v) => new Intl.NumberFormat("en-US", { maximumFractionDigits: Math.abs(v) < 100 ? 2 : 0 }).format(v);
  const equity = seconds(data.equity.t);
  if (equity.length > 1) {
    add({ title: "Equity", height: 240, format: money, axisFormat: compact, table: [equity, data.equity.v],
      series: [{ name: data.currency, colour: colour("--accent"), fill: colour("--area"), width: 1.6 }] });
    const percent = (v) => number(2)(v) + " %";
    add({ title: "Drawdown", height: 130, format: percent, axisFormat: (v) => compact(v) + " %", table: [equity, data.equity.drawdown],
      range: (_, min) => [Math.min(min * 1.05, -0.01), 0],
      series: [{ name: "", colour: colour("--loss"), fill: colour("--lossarea"), width: 1.2 }] });
  }

  // A drawn series belongs on the price chart whose scale it shares; others get their own.
  const left = data.draws.filter((d) => d.t.length);
  const bounds = (list) => list.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const middle = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
  data.markets.forEach((market, idx) => {
    if (market.t.length < 2) return;
    const [low, high] = bounds(market.v);
    const room = Math.max(high - low, Math.abs(high) * 0.02);
    const fits = (value) => value >= low - room && value <= high + room;
    const overlays = left.filter((d) => fits(middle(d.v)));
    for (const d of overlays) left.splice(left.indexOf(d), 1);
    const marks = data.markers.filter((m) => fits(m.p) || (data.markets.length === 1 && idx === 0));
    const tables = [[seconds(market.t), market.v], ...overlays.map((d) => [seconds(d.t), d.v])];
    const format = number(market.decimals);
    const triangles = (u) => {
      const { ctx } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      ctx.clip();
      const { min, max } = u.scales.x;
      const nShown = market.fills.filter(([t]) => t / 1000 >= min && t / 1000 <= max).length;
      // Many small marks, without outlines, still let the price be seen.
      const isCrowded = nShown > 300;
      const size = (isCrowded ? 3 : 5) * devicePixelRatio;
      ctx.fillStyle = css("--warn");
      for (const mark of marks) {
        if (mark.t / 1000 < min || mark.t / 1000 > max) continue;
        const x = u.valToPos(mark.t / 1000, "x", true), y = u.valToPos(mark.p, "y", true), d = size * 0.8;
        ctx.beginPath();
        ctx.moveTo(x, y - d); ctx.lineTo(x + d, y); ctx.lineTo(x, y + d); ctx.lineTo(x - d, y);
        ctx.closePath();
        ctx.fill();
      }
      for (const [t, p, buys] of market.fills) {
        if (t / 1000 < min || t / 1000 > max) continue;
        const x = u.valToPos(t / 1000, "x", true), y = u.valToPos(p, "y", true), up = buys ? size : -size;
        ctx.fillStyle = css(buys ? "--gain" : "--loss");
        ctx.strokeStyle = css("--panel");
        ctx.beginPath();
        ctx.moveTo(x, y);
        ctx.lineTo(x - size, y + 1.7 * up);
        ctx.lineTo(x + size, y + 1.7 * up);
        ctx.closePath();
        ctx.fill();
        if (!isCrowded) ctx.stroke();
      }
      ctx.restore();
    };
    const tip = element("div", "tip");
    const near = (u, box) => {
      if (!tip.isConnected) box.append(tip);
      tip.style.display = "none";
      const { left: x, top: y } = u.cursor;
      if (x < 0 || !u.root.matches(":hover")) return;
      let best = 14, text = "", at = [0, 0];
      const look = (t, p, shift, label) => {
        const px = u.valToPos(t / 1000, "x"), py = u.valToPos(p, "y") + shift;
        const distance = Math.hypot(px - x, py - y);
        if (distance < best) [best, text, at] = [distance, label, [px, py]];
      };
      for (const [t, p, buys, qty, made, realised] of market.fills) {
        const gain = realised ? ` · ${realised > 0 ? "+" : ""}${money(realised)}` : "";
        look(t, p, buys ? 5 : -5, `${moment(t / 1000)} · ${buys ? "buy" : "sell"} ${qty} @ ${format(p)} · ${made ? "maker" : "taker"}${gain}`);
      }
      for (const mark of marks) look(mark.t, mark.p, 0, `${moment(mark.t / 1000)} · ${mark.label} @ ${loose.format(mark.p)}`);
      if (!text) return;
      tip.textContent = text;
      tip.style.display = "block";
      const over = u.over.getBoundingClientRect(), frame = box.getBoundingClientRect();
      const wanted = over.left - frame.left + at[0] + 12;
      tip.style.left = Math.max(0, Math.min(wanted, frame.width - tip.offsetWidth - 4)) + "px";
      tip.style.top = over.top - frame.top + at[1] - 34 + "px";
    };
    add({
      title: market.symbol, height: 380, format, draw: triangles, extra: near,
      table: tables.length > 1 ? uPlot.join(tables) : tables[0],
      series: [{ name: "price", colour: colour("--text"), width: 1 },
        ...overlays.map((d, n) => ({ name: d.name, colour: () => palette[n % palette.length], format: (v) => loose.format(v) }))],
    });
    const legend = charts[charts.length - 1].box.querySelector(".legend");
    const key = (className, text) => {
      const item = element("span");
      item.append(element("i", className), text);
      legend.insertBefore(item, legend.lastChild);
    };
    if (market.fills.length) {
      key("buy", market.every > 1 ? `buys (1 of ${market.every} drawn)` : "buys");
      key("sell", market.every > 1 ? `sells (1 of ${market.every} drawn)` : "sells");
    }
    if (marks.length) key("mark", "markers");
  });
  left.forEach((d, n) => add({
    title: d.name, height: 130, format: (v) => (v == null ? "–" : loose.format(v)), table: [seconds(d.t), d.v],
    series: [{ name: "", colour: () => palette[n % palette.length] }],
  }));
  zoom(...times);

  new ResizeObserver(() => {
    for (const chart of charts) chart.setSize({ width: chart.box.clientWidth, height: chart.height });
  }).observe(host);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of charts) {
      for (const { key, s } of chart.keys) if (!s.key && s.name) key.style.background = s.colour();
      chart.redraw(false, true);
    }
  });
})();
