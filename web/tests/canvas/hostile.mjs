#!/usr/bin/env node
/**
 * Bad input in a browser: nothing freezes, nothing runs, nothing is lost. Ends with status 1 and the list of what failed.
 * `--shots FOLDER` also writes screenshots.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { objectInfo, synthetic } from "../../../benchmarks/editor_graph.mjs";
import { openPage } from "./serve.mjs";

const { values } = parseArgs({ options: { shots: { type: "string" } } });
const { page, browser, errors, close } = await openPage();
const failures = [];
let checks = 0;
// Under 90 where much else runs.
const LONGEST = 110;

function same(what, got, wanted) {
  checks += 1;
  if (JSON.stringify(got) !== JSON.stringify(wanted)) failures.push(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);
}
const settle = (ms = 400) => page.waitForTimeout(ms);
const shot = async (name) => values.shots && page.screenshot({ path: join(values.shots, `${name}.png`) });

/** Opens a text, again when the page was away for too long: a shared machine proves only the good. */
async function open(text, longest = Infinity) {
  let best = await openOnce(text);
  for (let n = 0; n < 2 && best.longest > longest; n++) {
    const again = await openOnce(text);
    if (again.longest < best.longest) best = again;
  }
  return best;
}

/**
 * Opens a text and says how much the longest task of the page's thread worked, and when the first frame of the graph
 * came, ms. It is the CPU's time: how long a task lasts says more of what else the machine does.
 */
async function openOnce(text) {
  await browser.startTracing(page, { categories: ["toplevel", "blink.user_timing"] });
  const found = await opened(text);
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const start = traceEvents.find((one) => one.name === "opening");
  const mine = traceEvents.filter((one) => one.pid === start.pid && one.tid === start.tid && one.ts > start.ts && one.tdur !== undefined);
  return { ...found, longest: Math.round(Math.max(...mine.map((one) => one.tdur)) / 1000) };
}

function opened(text) {
  return page.evaluate(async ([file, info]) => {
    const parts = [];
    const wide = { nodes: [{ id: 1, type: "Note", pos: [0, 0], size: [200, 100], widgets_values: ["x y ".repeat(24e6)] }], links: [], version: 0.4 };
    const text = file === "95 MB" ? JSON.stringify(wide) : file;
    await new Promise((done) => setTimeout(done, 200));
    // The file as the page gets it is none of its work.
    const start = performance.now();
    performance.mark("opening");
    const saved = await window.page.openFile(text, info, { progress: (part) => parts.push(part) });
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const first = Math.round(performance.now() - start);
    await new Promise((done) => setTimeout(done, 2500));
    return { saved, first, parts: parts.length };
  }, [text, objectInfo]);
}

const many = await open(JSON.stringify(synthetic(50_000)), LONGEST);
console.log(`50,000 nodes: first frame after ${many.first} ms, longest task ${many.longest} ms`);
same("50,000 nodes open without a long freeze", many.longest < LONGEST, true);
same("and say how far they are", many.parts > 5, true);
same("all of them", await page.evaluate(() => window.page.document.graph("").nodes.size), 50_000);
await shot("hostile-50000");
const probe = () => page.evaluate(() => {
  const canvas = document.querySelector(".graph-bottom");
  const box = canvas.getBoundingClientRect();
  const last = [...window.page.document.graph("").nodes.values()].at(-1);
  const at = window.page.camera.current.toScreen({ x: last.x + 100, y: last.y + 60 });
  return [...canvas.getContext("2d").getImageData(Math.round(at.x - box.x), Math.round(at.y - box.y), 1, 1).data][3];
});
// A large graph is read in portions, a few a frame.
for (let n = 0; n < 40 && !((await probe()) > 60); n++) await settle(500);
same("the last of them is drawn", (await probe()) > 60, true);

const big = await open("95 MB", LONGEST);
console.log(`one text of 95 MB: first frame after ${big.first} ms, longest task ${big.longest} ms`);
same("it does so without a long freeze", big.longest < LONGEST, true);
same("a file of 95 MB opens", await page.evaluate(() => window.page.document.graph("").nodes.size), 1);

const evil = {
  last_node_id: 12, version: 0.4, groups: [{ title: "\u202egroup<img src=x onerror=alert(1)>", bounding: [-40, -90, 900, 500] }, { title: "no box" }],
  nodes: [
    { id: 1, type: "KSampler", title: "T".repeat(10_000), pos: [0, 0], size: [-300, -100], inputs: [{ name: "model", type: "MODEL", link: 2 }], outputs: [{ name: "LATENT", type: "LATENT", links: [1] }] },
    { id: 2, type: "VAEDecode", title: "\u202eright to left \u0000\u0007 שלום עולם", pos: ["NaN", null], size: null, inputs: [{ name: "samples", type: "LATENT", link: 1 }], outputs: [{ name: "IMAGE", type: "IMAGE", links: [2] }] },
    { id: 2, type: "SaveImage", pos: [400, 0] },
    { id: 3, type: "<script>alert(1)</script>", pos: [1e308, -1e308], size: [1e300, 1e300], widgets_values: { "__proto__": 1, constructor: "x" } },
    { id: 4 }, 7, null,
    { id: 5, type: "LoadImage" },
    { id: 6, type: "Note", title: "<b>bold</b>", pos: [420, 40], size: [260, 120], widgets_values: ["<img src=x onerror='window.hacked=1'>"] },
  ],
  links: [[1, 1, 0, 2, 0, "LATENT"], [2, 2, 0, 1, 0, "IMAGE"], [2, 9, 0, 1, 0, "X"], ["a", null], 5],
};
const text = JSON.stringify(evil).replace('"NaN"', "NaN");
const odd = await open(text);
await page.evaluate(() => window.page.camera.current.fit(["1", "2", "5", "6"]));
await settle();
await page.evaluate(() => window.page.camera.current.zoomTo(1));
await settle();
await shot("hostile-odd");
const kept = JSON.parse(odd.saved);
same("every entry of an odd file is saved again", [kept.nodes.length, kept.links.length, kept.groups.length], [evil.nodes.length, evil.links.length, evil.groups.length]);
same("and as it was", kept.nodes.filter((_, n) => n !== 1), evil.nodes.filter((_, n) => n !== 1));
same("a long title is kept whole and shown cut", [kept.nodes[0].title.length, (await page.locator('[data-node="1"] .node-name').textContent()).length], [10_000, 201]);
same("nothing of it ran", await page.evaluate(() => [window.hacked, document.querySelectorAll(".node script, .node img, .node b").length]), [null, 0]);
const boxes = await page.evaluate(() => [...document.querySelectorAll(".node")].map((one) => one.getBoundingClientRect()).every((box) => box.width >= 100 && box.height >= 20 && Number.isFinite(box.x)));
same("every node has a box that can be seen", boxes, true);
await page.evaluate(() => window.page.camera.current.fit());
await settle();
same("the whole graph can be looked at", await page.evaluate(() => Number.isFinite(window.page.camera.current.zoom)), true);
await page.evaluate(() => window.page.document.apply({ do: "moveNodes", graph: "", to: [{ id: "1", x: 10, y: 10 }] }, "Move"));
same("and edited", [await page.evaluate(() => window.page.document.undo()?.label), await page.evaluate(() => window.page.document.node("", "1").x)], ["Move", 0]);

same("the page reports no errors", errors, []);
await close();
for (const failure of failures) console.error(failure);
console.log(`${checks - failures.length} of ${checks} checks hold`);
process.exitCode = failures.length > 0 ? 1 : 0;
