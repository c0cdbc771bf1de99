#!/usr/bin/env node
/**
 * Measures the editor's canvas with 4,000 nodes in Chromium: main-thread CPU a frame, as `Performance.getMetrics`
 * counts it in thread ticks. That survives a busy machine, which wall time does not.
 *
 *   node benchmarks/editor.mjs [--nodes 4000] [--runs 2] [--check]
 *
 * Opening is from the text of the file to two frames later. Each figure is the best of the runs. With --check it ends with status 1 when a
 * bar is broken, after up to two more runs: machines are shared, and what counts is what the code can do.
 */
import { parseArgs } from "node:util";
import { openPage } from "../web/tests/canvas/serve.mjs";
import { objectInfo, synthetic } from "./editor_graph.mjs";

// While zooming nodes come into the DOM and go again, ten a frame.
const BARS = {
  "pan 100 %": 8, "pan 40 %": 8, "pan fit": 14, zoom: 18, "pan busy": 8, "drag 1": 12, "drag 100": 12, edit: 4, open: 400, undo: 16, "click to paint": 50, heap: 60,
};
const UNITS = { open: "ms", undo: "ms", "click to paint": "ms", heap: "MB" };
const FRAMES = 90;
const { values } = parseArgs({ options: { nodes: { type: "string", default: "4000" }, runs: { type: "string", default: "2" }, check: { type: "boolean" } } });
const count = Number(values.nodes);

const { page, errors, close } = await openPage();
const cdp = await page.context().newCDPSession(page);
await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
const busy = async () => {
  const { metrics } = await cdp.send("Performance.getMetrics");
  return metrics.find((one) => one.name === "TaskDuration").value * 1000;
};
const settle = (ms = 400) => page.waitForTimeout(ms);

/** Runs `each(i)` of the page once a frame and gives CPU and the middle gap between frames, ms. */
async function perFrame(script, argument) {
  await settle();
  const before = await busy();
  const gap = await page.evaluate(async ([source, frames, value]) => {
    const step = window.steps[source](value);
    const gaps = [];
    let last = performance.now();
    for (let i = 0; i < frames; i++) {
      step(i);
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
    step(-1);
    return gaps.sort((a, b) => a - b)[gaps.length >> 1];
  }, [script, FRAMES, argument]);
  return { cpu: ((await busy()) - before) / FRAMES, gap };
}

await page.evaluate(() => {
  const host = () => document.querySelector(".graph");
  const wheel = (dx, dy, ctrl) => host().dispatchEvent(new WheelEvent("wheel", { deltaX: dx, deltaY: dy, ctrlKey: ctrl, clientX: 800, clientY: 450, bubbles: true, cancelable: true }));
  const doc = () => window.page.document;
  window.steps = {
    pan: (speed) => (i) => i >= 0 && wheel(i < 45 ? speed : -speed, 0.01, false),
    zoom: () => (i) => i >= 0 && wheel(0, (i < 45 ? -1 : 1) * 7, true),
    drag: (ids) => {
      const start = ids.map((id) => doc().node("", id)).map(({ id, x, y }) => ({ id, x, y }));
      doc().begin("Move");
      return (i) => (i < 0 ? doc().commit() : doc().apply({ do: "moveNodes", graph: "", to: start.map(({ id, x, y }) => ({ id, x: x + i, y: y + i })) }, "Move"));
    },
    edit: (id) => (i) => i >= 0 && doc().apply({ do: "setValue", graph: "", id, input: "steps", value: 20 + i }, "Change steps"),
  };
});

async function open(text) {
  return page.evaluate(async ([workflow, info]) => {
    const start = performance.now();
    window.page.open(workflow, info);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return performance.now() - start;
  }, [text, objectInfo]);
}

/** Puts node `id` into the middle at 100 % and gives where its title is on the page. */
async function at(id) {
  await page.evaluate((node) => window.page.camera.current.centerOn(node), id);
  await settle();
  await page.evaluate(() => window.page.camera.current.zoomTo(1));
  await settle();
  return page.evaluate((node) => {
    const { x, y } = window.page.document.node("", node);
    return window.page.camera.current.toScreen({ x: x + 120, y: y + 16 });
  }, id);
}

/** Longest time from a press on a node to the paint after it, the better of two presses each: it is wall time. */
async function clickToPaint(ids) {
  const times = [];
  for (const id of ids) times.push(Math.min(await pressed(id), await pressed(id)));
  return Math.max(...times);
}

async function pressed(id) {
  const place = await at(id);
  await page.evaluate(() => window.page.selection.set({}));
  await settle(200);
  await page.evaluate(() => {
    window.painted = new Promise((done) => {
      addEventListener("pointerdown", (event) => {
        const start = event.timeStamp;
        requestAnimationFrame(() => {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => done(performance.now() - start);
          channel.port2.postMessage(0);
        });
      }, { once: true, capture: true });
    });
  });
  await page.mouse.click(place.x, place.y);
  return page.evaluate(() => window.painted);
}

async function undo() {
  await settle();
  const before = await busy();
  const done = await page.evaluate(async () => {
    let steps = 0;
    while (steps < 4 && window.page.document.undo()) {
      steps += 1;
      await new Promise(requestAnimationFrame);
    }
    return steps;
  });
  return ((await busy()) - before) / Math.max(1, done);
}

/** Selects nodes and gives a picture to each third of them, as after a run. */
async function busyGraph(ids) {
  await page.evaluate(async (nodes) => {
    const canvas = new OffscreenCanvas(512, 512);
    canvas.getContext("2d").fillRect(64, 64, 256, 256);
    const url = URL.createObjectURL(await canvas.convertToBlob());
    window.page.selection.set({ nodes: new Set(nodes) });
    for (const [n, id] of nodes.entries()) {
      if (n % 3 === 0) window.page.runs.set(id, { status: "done", seconds: 1, images: [{ url, name: "a.png", width: 512, height: 512 }] });
    }
  }, ids);
  await settle(800);
}

async function run(text) {
  const found = {};
  const gaps = {};
  const frame = async (name, script, argument) => {
    const { cpu, gap } = await perFrame(script, argument);
    found[name] = cpu;
    gaps[name] = gap;
  };
  const before = await busy();
  gaps.open = await open(text);
  found.open = (await busy()) - before;
  const middle = String(Math.round(count / 2) - (Math.round(count / 2) % 6) + 1);
  const hundred = Array.from({ length: 100 }, (_, n) => String(Number(middle) - 50 + n));
  const zoomTo = async (zoom) => {
    await page.evaluate((to) => window.page.camera.current.zoomTo(to), zoom);
    await settle();
  };
  await at(middle);
  await page.evaluate(() => window.page.selection.set({}));
  await frame("pan 100 %", "pan", 14);
  await busyGraph(hundred);
  await frame("pan busy", "pan", 14);
  await page.evaluate(() => window.page.selection.set({}));
  await frame("drag 1", "drag", [middle]);
  await frame("drag 100", "drag", hundred);
  await frame("edit", "edit", middle);
  found.undo = await undo();
  found["click to paint"] = await clickToPaint([middle, String(Number(middle) + 1)]);
  await zoomTo(0.4);
  await frame("pan 40 %", "pan", 14);
  await page.evaluate(() => window.page.camera.current.fit());
  await settle();
  await frame("pan fit", "pan", 6);
  await frame("zoom", "zoom");
  found.heap = await page.evaluate(() => {
    globalThis.gc?.();
    return performance.memory.usedJSHeapSize / 1e6;
  });
  return { found, gaps };
}

const text = JSON.stringify(synthetic(count));
const best = {};
const gaps = {};
// One round that does not count: the browser compiles the code in it.
await open(JSON.stringify(synthetic(60)));
await settle();
const over = () => Object.entries(BARS).filter(([name, bar]) => best[name] > bar).length;
const most = values.check ? Number(values.runs) + 2 : Number(values.runs);
for (let n = 0; n < most && (n < Number(values.runs) || over() > 0); n++) {
  const one = await run(text);
  for (const [name, value] of Object.entries(one.found)) {
    if (value >= (best[name] ?? Infinity)) continue;
    best[name] = value;
    gaps[name] = one.gaps[name];
  }
}
await close();

console.log(`${count} nodes, minimap on; main-thread CPU a frame in ms (open and undo: in all) unless said otherwise\n`);
for (const [name, bar] of Object.entries(BARS)) {
  const value = best[name];
  const gap = gaps[name] === undefined ? "" : `${name === "open" ? "wall" : "gap"} ${gaps[name].toFixed(1)}`;
  console.log(`${name.padEnd(16)}${value.toFixed(1).padStart(8)} ${(UNITS[name] ?? "").padEnd(3)} bar ${String(bar).padStart(4)}  ${value > bar ? "OVER" : "ok  "}  ${gap}`);
}
for (const error of errors) console.error(error);
if (values.check && (over() > 0 || errors.length > 0)) process.exitCode = 1;
