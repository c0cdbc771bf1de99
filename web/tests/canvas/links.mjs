#!/usr/bin/env node
/**
 * How links look, and the canvas under fingers, in a browser. Ends with status 1 and the list of what failed.
 * `--shots FOLDER` also writes screenshots.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { objectInfo } from "../../../benchmarks/editor_graph.mjs";
import { openPage } from "./serve.mjs";

const { values } = parseArgs({ options: { shots: { type: "string" } } });
const { page, errors, close } = await openPage();
const failures = [];
let checks = 0;

function same(what, got, wanted) {
  checks += 1;
  if (JSON.stringify(got) !== JSON.stringify(wanted)) failures.push(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);
}
const settle = (ms = 400) => page.waitForTimeout(ms);
const shot = async (name) => values.shots && page.screenshot({ path: join(values.shots, `${name}.png`) });

const open = async (text, style = "spline") => {
  await page.evaluate(([workflow, info, how]) => ((window.page.linkStyle = how), window.page.open(workflow, info)), [text, objectInfo, style]);
  await settle();
};
const example = readFileSync(fileURLToPath(new URL("../../../workflows/text_to_image.json", import.meta.url)), "utf8");
const apply = (command) => page.evaluate((one) => window.page.document.apply(one, "Check"), command);
const linkTo = (to, input) => page.evaluate(([node, place]) => [...window.page.document.graph("").links.values()].find((link) => link.to === node && link.input === place).id, [to, input]);
const screen = (x, y) => page.evaluate((at) => window.page.camera.current.toScreen(at), { x, y });
const title = async (id) => {
  const { x, y } = await page.evaluate((one) => window.page.document.node("", one), id);
  return screen(x + 100, y + 16);
};
/** How strongly the bottom canvas is painted at a point of the graph. */
const ink = async (x, y) => {
  const at = await screen(x, y);
  return page.evaluate(({ x: px, y: py }) => {
    const canvas = document.querySelector(".graph-bottom");
    const box = canvas.getBoundingClientRect();
    const data = canvas.getContext("2d").getImageData(Math.round(px - box.x) - 2, Math.round(py - box.y) - 2, 5, 5).data;
    let most = 0;
    for (let n = 3; n < data.length; n += 4) most = Math.max(most, data[n]);
    return most;
  }, at);
};
/** The ends of the link into an input, in graph units. */
const ends = (to, input) => page.evaluate(([node, place]) => {
  const link = [...window.page.document.graph("").links.values()].find((one) => one.to === node && one.input === place);
  const camera = window.page.camera.current;
  const dot = (id, name) => {
    const box = document.querySelector(`[data-node="${id}"] [data-port="${name}"] .port-dot`).getBoundingClientRect();
    return camera.toGraph({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  };
  return [dot(link.from, `output${link.output}`), dot(link.to, `input${link.input}`)];
}, [to, input]);

// Styles: where the line runs between the same ends.
await open(example, "straight");
const [from, to] = await ends("6", 1);
const quarter = { x: from.x + (to.x - from.x) * 0.04, y: from.y + (to.y - from.y) * 0.04 };
same("a straight link runs straight", (await ink(quarter.x, quarter.y)) > 100, true);
await shot("links-straight");
await open(example, "angled");
same("a right-angled one leaves sideways", [(await ink(from.x + 24, from.y)) > 100, (await ink((from.x + to.x) / 2, from.y + (to.y - from.y) / 2)) > 100], [true, true]);
await shot("links-angled");
await open(example, "hidden");
same("none is drawn when they are hidden", await ink(from.x + 24, from.y), 0);

// A portal: two tags and no line.
await open(example);
const id = await linkTo("6", 1);
await apply({ do: "updateLink", graph: "", id, set: { portal: "the VAE" } });
await settle();
await shot("links-portal");
const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
same("a portal draws tags", [(await ink(from.x + 20, from.y)) > 100, (await ink(to.x - 20, to.y)) > 100], [true, true]);
const tag = await screen(to.x - 30, to.y);
await page.mouse.dblclick(tag.x, tag.y);
await settle(600);
const view = await page.evaluate(() => window.page.camera.current.view);
const loader = await page.evaluate(() => window.page.document.node("", "1"));
same("a double click on a tag leads to the other end", Math.abs(view.x + view.width / 2 - loader.x - loader.width / 2) < 40, true);
await page.evaluate(() => window.page.document.undo());
void middle;

// A signal traced.
await open(example);
await page.locator(".graph").focus();
await page.evaluate(() => window.page.selection.focus("2"));
await page.keyboard.press("t");
await settle();
await shot("links-traced");
same("what the signal does not pass steps back", await page.evaluate(() => [...document.querySelectorAll(".node[data-faded]")].map((one) => one.dataset.node).sort()), ["3", "4"]);
await page.keyboard.press("Escape");
same("Esc ends it", await page.locator(".node[data-faded]").count(), 0);

// A subgraph: a wire let go on its border makes a port.
const part = {
  version: 0.4, nodes: [{ id: 7, type: "part", pos: [0, 0], size: [200, 100], inputs: [], outputs: [] }], links: [],
  definitions: { subgraphs: [{ id: "part", name: "Part", inputs: [], outputs: [], links: [], nodes: [{ id: 1, type: "VAEDecode", pos: [0, 0], size: [240, 100], inputs: [{ name: "samples", type: "LATENT" }, { name: "vae", type: "VAE" }], outputs: [{ name: "IMAGE", type: "IMAGE" }] }] }] },
};
await page.evaluate(() => (window.page.graphId = "part"));
await open(JSON.stringify(part));
const place = async (selector) => {
  const box = await page.locator(selector).boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
for (const [name, border] of [["input0", "-10"], ["output0", "-20"]]) {
  const start = await place(`[data-node="1"] [data-port="${name}"] .port-dot`);
  const end = await place(`[data-node="${border}"]`);
  await page.mouse.move(start.x, start.y);
  await page.mouse.down();
  await page.mouse.move((start.x + end.x) / 2, end.y, { steps: 4 });
  await page.mouse.move(end.x, end.y, { steps: 4 });
  await page.mouse.up();
  await settle(200);
}
const shown = () => page.evaluate(() => {
  const { inputs, outputs, links } = window.page.document.graph("part");
  const instance = window.page.document.node("", "7");
  return [inputs, outputs, instance.inputs, instance.outputs].map((slots) => slots.map((slot) => slot.name)).concat(links.size);
});
same("a wire let go on a border makes a port, in the instance too", await shown(), [["samples"], ["IMAGE"], ["samples"], ["IMAGE"], 2]);
await shot("links-borders");
await page.evaluate(() => window.page.document.goTo(0));
same("which can be undone", await shown(), [[], [], [], [], 0]);
await page.evaluate(() => (window.page.graphId = ""));

// Touch on a phone: pan, pinch, tap, long press, a link.
await page.setViewportSize({ width: 390, height: 780 });
await open(example);
const cdp = await page.context().newCDPSession(page);
const touch = (type, points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y, finger = 0]) => ({ x, y, id: finger })) });
await page.evaluate(() => window.page.camera.current.centerOn("5"));
await settle();
await page.evaluate(() => window.page.camera.current.zoomTo(1));
await settle();
await page.evaluate(() => window.page.selection.set({}));
const before = await page.evaluate(() => window.page.camera.current.view.x);
await touch("touchStart", [[100, 720]]);
await touch("touchMove", [[150, 720]]);
await touch("touchMove", [[220, 720]]);
await touch("touchEnd", []);
await settle(100);
same("one finger pans", Math.round(before - (await page.evaluate(() => window.page.camera.current.view.x))), 120);
const head = await title("5");
await touch("touchStart", [[head.x, head.y]]);
await touch("touchEnd", []);
await settle(100);
same("a tap selects", await page.evaluate(() => [...window.page.selection.current.nodes]), ["5"]);
await page.evaluate(() => window.page.calls.splice(0));
await touch("touchStart", [[head.x, head.y]]);
await settle(800);
await touch("touchEnd", []);
same("a long press asks for the menu, once", await page.evaluate(() => window.page.calls.splice(0).map((one) => [one[0], one[1].kind])), [["menu", "title"]]);
same("and moves nothing", await page.evaluate(() => window.page.document.position), 0);
const zoomBefore = await page.evaluate(() => window.page.camera.current.zoom);
await touch("touchStart", [[100, 700, 0]]);
await touch("touchStart", [[100, 700, 0], [200, 700, 1]]);
await touch("touchMove", [[75, 700, 0], [225, 700, 1]]);
await touch("touchEnd", []);
await settle(200);
same("two fingers zoom", (await page.evaluate(() => window.page.camera.current.zoom)) / zoomBefore > 1.3, true);
await page.evaluate(() => window.page.camera.current.centerOn("5"));
await settle();
await page.evaluate(() => window.page.camera.current.zoomTo(1));
await settle();
await shot("touch-phone");
const small = await page.evaluate(() => [...document.querySelectorAll('[data-node="5"] :is(button, input)')].map((one) => ({ what: one.getAttribute("aria-label"), box: one.getBoundingClientRect() })).filter(({ box }) => box.height < 24 || box.width < 24).map(({ what, box }) => `${what} ${Math.round(box.width)}x${Math.round(box.height)}`));
same("targets are 24 pixels high and wide", small, []);

same("the page reports no errors", errors, []);
await close();
for (const failure of failures) console.error(failure);
console.log(`${checks - failures.length} of ${checks} checks hold`);
process.exitCode = failures.length > 0 ? 1 : 0;
