#!/usr/bin/env node
/**
 * What needs a browser: which nodes are mounted, what is drawn where, and that a gesture is one step of the history.
 * Ends with status 1 and the list of what failed. `--shots FOLDER` also writes screenshots in both themes.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { objectInfo, synthetic } from "../../../benchmarks/editor_graph.mjs";
import { openPage } from "./serve.mjs";

const { values } = parseArgs({ options: { shots: { type: "string" } } });
const { AxeBuilder } = createRequire(new URL("../../package.json", import.meta.url))("@axe-core/playwright");
const example = readFileSync(fileURLToPath(new URL("../../../workflows/text_to_image.json", import.meta.url)), "utf8");
const { page, errors, close } = await openPage();
const failures = [];
let checks = 0;

function same(what, got, wanted) {
  checks += 1;
  if (JSON.stringify(got) !== JSON.stringify(wanted)) failures.push(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);
}
const settle = (ms = 350) => page.waitForTimeout(ms);
const open = async (text) => {
  await page.evaluate(([workflow, info]) => window.page.open(workflow, info), [text, objectInfo]);
  await settle();
};
const zoom = async (to) => {
  await page.evaluate((value) => window.page.camera.current.zoomTo(value), to);
  await settle();
};
const node = (id) => page.evaluate((one) => window.page.document.node("", one), id);
const steps = () => page.evaluate(() => window.page.document.position);
const undo = () => page.evaluate(() => window.page.document.undo()?.label);
const selected = () => page.evaluate(() => [...window.page.selection.current.nodes].sort());
const links = () => page.evaluate(() => [...window.page.document.graph("").links.values()].map((link) => `${link.from}.${link.output}>${link.to}.${link.input}`).sort());
const screen = (x, y) => page.evaluate((at) => window.page.camera.current.toScreen(at), { x, y });
const calls = () => page.evaluate(() => window.page.calls.splice(0));
const middle = async (selector) => {
  const box = await page.locator(selector).first().boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
const port = async (id, name) => {
  const box = await page.locator(`[data-node="${id}"] [data-port="${name}"] .port-dot`).boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
async function drag(from, to, keys = []) {
  for (const key of keys) await page.keyboard.down(key);
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: 4 });
  await page.mouse.move(to.x, to.y, { steps: 4 });
  await page.mouse.up();
  for (const key of keys) await page.keyboard.up(key);
  await settle(80);
}
const title = async (id) => {
  const { x, y } = await node(id);
  return screen(x + 100, y + 16);
};

// Mounting: only what is near, and nothing when far.
await open(JSON.stringify(synthetic(4000)));
same("nothing is mounted when the whole graph is in view", await page.locator(".node").count(), 0);
await page.evaluate(() => window.page.camera.current.centerOn("2000"));
await settle();
await zoom(1);
const mounted = await page.locator(".node").count();
same("a few nodes are mounted at 100 %", mounted > 4 && mounted < 60, true);
same("the node in the middle is mounted", await page.locator('[data-node="2000"]').count(), 1);
await page.locator('[data-node="2000"] input').first().focus();
await page.evaluate(() => window.page.camera.current.fit());
await settle(900);
same("the edited node alone stays mounted", await page.locator(".node").count(), 1);

// Pixels: a node drawn from afar is lighter than the ground.
const probe = await page.evaluate(() => {
  const canvas = document.querySelector(".graph-bottom");
  const box = canvas.getBoundingClientRect();
  const at = window.page.camera.current.toScreen({ x: 150, y: 60 });
  return [...canvas.getContext("2d").getImageData(Math.round(at.x - box.x), Math.round(at.y - box.y), 1, 1).data];
});
same("a far node is painted on the canvas", probe[3] > 200, true);

// Gestures on the example.
await open(example);
await zoom(0.8);
const first = await node("5");
await drag(await title("5"), { x: (await title("5")).x + 80, y: (await title("5")).y + 40 });
const moved = await node("5");
same("a drag moves the node by what the pointer moved", [Math.round(moved.x - first.x), Math.round(moved.y - first.y)], [100, 50]);
same("a drag is one step of the history", await steps(), 1);
await undo();
same("one undo puts it back", [(await node("5")).x, (await node("5")).y], [first.x, first.y]);

const grip = await title("5");
await page.mouse.move(grip.x, grip.y);
await page.mouse.down();
await page.mouse.move(grip.x + 60, grip.y + 60, { steps: 5 });
await page.keyboard.press("Escape");
await page.mouse.up();
same("Esc takes a drag back", [(await node("5")).x, await steps()], [first.x, 0]);

await drag(await title("5"), { x: (await title("5")).x + 33, y: (await title("5")).y + 21 }, ["Shift"]);
const onGrid = await node("5");
same("Shift snaps to the grid", [onGrid.x % 20, onGrid.y % 20], [0, 0]);
await page.evaluate(() => window.page.document.goTo(0));
await page.evaluate(() => window.page.selection.set({}));

const corner = await screen(350, -20);
await drag(corner, await screen(820, 420));
same("a marquee selects what it touches", await selected(), ["2", "3"]);
await page.evaluate(() => window.page.selection.set({}));
await page.mouse.click((await title("1")).x, (await title("1")).y);
same("a click selects", await selected(), ["1"]);
await page.keyboard.down("Shift");
await page.mouse.click((await title("4")).x, (await title("4")).y);
await page.keyboard.up("Shift");
same("Shift adds", await selected(), ["1", "4"]);

await page.evaluate(() => window.page.document.goTo(0));
const count = await page.evaluate(() => window.page.document.graph("").nodes.size);
await drag(await title("4"), { x: (await title("4")).x + 10, y: (await title("4")).y + 160 }, ["Alt"]);
same("Alt drags copies", await page.evaluate(() => window.page.document.graph("").nodes.size), count + 2);
same("and that is one step", await steps(), 1);
await undo();

// Links.
const before = await links();
await drag(await port("4", "output0"), await port("5", "input0"));
same("a port of another type takes no link", await links(), before);
await drag(await port("2", "output0"), await port("5", "input2"));
same("a link replaces what the input had", (await links()).includes("2.0>5.2") && !(await links()).includes("3.0>5.2"), true);
same("which is one step", await undo(), "Link");
same("and comes back whole", await links(), before);
await drag(await port("5", "input1"), await screen(700, 700));
same("a link pulled off and dropped is gone", (await links()).includes("2.0>5.1"), false);
await undo();
await drag(await port("5", "input1"), await port("5", "input2"));
same("a link moves to another input", (await links()).filter((one) => one.includes(">5.")).sort(), ["1.0>5.0", "2.0>5.2", "4.0>5.3"]);
await undo();
await drag(await port("2", "output0"), await port("3", "output0"), ["Shift"]);
same("Shift moves all wires of an output to another", (await links()).filter((one) => one.includes(">5.1")), ["3.0>5.1"]);
await undo();
await calls();
await drag(await port("5", "output0"), await screen(1100, 700));
same("a link dropped on nothing asks for a node", (await calls()).map((one) => [one[0], one[3].port, one[3].menu]), [["search", { node: "5", side: "output", index: 0 }, false]]);
await drag(await port("1", "output1"), await title("3"));
same("a link dropped on a body takes the first port that fits", (await links()).includes("1.1>3.0"), true);
await page.evaluate(() => window.page.document.goTo(0));
const clipPort = await port("1", "output1");
await page.keyboard.down("Control");
await page.keyboard.down("Alt");
await page.mouse.click(clipPort.x, clipPort.y);
await page.keyboard.up("Alt");
await page.keyboard.up("Control");
same("Ctrl+Alt+click drops all wires of a slot", (await links()).filter((one) => one.startsWith("1.1")), []);
await page.evaluate(() => window.page.document.goTo(0));

// Widgets.
const cfg = page.locator('[data-node="5"] [aria-label="cfg"]');
await cfg.dblclick();
await page.keyboard.press("Control+A");
await page.keyboard.type("14/4");
await page.keyboard.press("Enter");
same("a number field works out sums", (await node("5")).values.cfg, 3.5);
await page.evaluate(() => window.page.document.goTo(0));
await page.locator('[data-node="2"] textarea').click();
await page.keyboard.press("End");
await page.keyboard.type(" on wood");
same("text reaches the document", (await node("2")).values.text, "a red apple on wood");
same("typing is one step", await steps(), 1);
await page.keyboard.press("Control+ArrowUp");
await settle(100);
same("Ctrl+Up weighs the word", (await node("2")).values.text, "a red apple on (wood:1.05)");
await page.evaluate(() => window.page.document.goTo(0));
const steps20 = await middle('[data-node="5"] [aria-label="steps"]');
await drag(steps20, { x: steps20.x + 40, y: steps20.y });
same("pulling a number changes it", (await node("5")).values.steps > 20, true);
same("and is one step", await steps(), 1);
await page.locator('[data-node="5"] .combo').first().click();
await page.keyboard.type("euler");
await page.keyboard.press("Enter");
same("a combo is searched and chosen by keys", (await node("5")).values.sampler_name, "euler");
await page.evaluate(() => window.page.document.goTo(0));

await page.locator('[data-node="3"] textarea').click();
await page.keyboard.type("a embedding:b");
await page.locator(".completions [role=option]").first().waitFor();
await page.keyboard.press("Enter");
await settle(100);
same("completion puts the word in place", (await node("3")).values.text, "a embedding:best");
await page.evaluate(() => window.page.document.goTo(0));
const dice = page.locator('[data-node="5"] [data-kind="seed"] .small');
await dice.first().click();
same("the dice gives another seed", (await node("5")).values.seed !== 1, true);
await dice.nth(1).click();
same("what becomes of the seed is kept beside it", (await node("5")).values["seed:control"], "increment");
await page.evaluate(() => window.page.document.goTo(0));

// Title.
await page.mouse.dblclick((await title("4")).x, (await title("4")).y);
await page.keyboard.type("Paper");
await page.keyboard.press("Enter");
same("double click renames", (await node("4")).title, "Paper");
await undo();

// The camera, and what else a pointer does.
const anchor = await page.evaluate(() => window.page.camera.current.toGraph({ x: 500, y: 300 }));
await page.mouse.move(500, 300);
await page.mouse.wheel(0, -200);
await settle(100);
const kept = await page.evaluate(() => window.page.camera.current.toGraph({ x: 500, y: 300 }));
same("the wheel zooms at the pointer", [Math.round(kept.x - anchor.x), Math.round(kept.y - anchor.y), (await page.evaluate(() => window.page.camera.current.zoom)) > 0.8], [0, 0, true]);
const corner4 = await page.evaluate(() => window.page.camera.current.view);
await page.mouse.move(500, 300);
await page.mouse.down({ button: "middle" });
await page.mouse.move(560, 330, { steps: 3 });
await page.mouse.up({ button: "middle" });
const panned = await page.evaluate(() => [window.page.camera.current.view, window.page.camera.current.zoom]);
same("the middle button pans", [Math.round((corner4.x - panned[0].x) * panned[1]), Math.round((corner4.y - panned[0].y) * panned[1])], [60, 30]);
await page.evaluate(() => window.page.camera.current.fit());
await settle(500);
const small = await page.evaluate(() => document.querySelector('[data-node="4"]').getBoundingClientRect().toJSON());
await drag({ x: small.right - 4, y: small.bottom - 4 }, { x: small.right + 60, y: small.bottom + 40 });
same("the corner resizes", (await node("4")).width > 360 && (await steps()) === 1, true);
await undo();
const four = await node("4");
const fold = await screen(four.x + 14, four.y + 15);
await page.mouse.click(fold.x, fold.y);
same("the triangle collapses", (await node("4")).collapsed, true);
await undo();
const wire = await page.evaluate(() => {
  const [from, to] = ["6", "7"].map((id) => window.page.document.node("", id));
  // Beside the middle, where the marker of the link's menu is.
  return { x: (3 * (from.x + from.width) + to.x) / 4, y: from.y + 30 + 6 + 12 };
});
const onWire = await screen(wire.x, wire.y);
await page.mouse.dblclick(onWire.x, onWire.y);
same("a double click bends a link", await page.evaluate(() => [...window.page.document.graph("").links.values()].find((link) => link.to === "7").bends?.length), 1);
await drag(onWire, { x: onWire.x, y: onWire.y + 60 });
same("the bend is dragged", await page.evaluate((y) => [...window.page.document.graph("").links.values()].find((link) => link.to === "7").bends[0].y > y + 20, wire.y), true);
await page.evaluate(() => window.page.document.goTo(0));
await page.evaluate(() => window.page.document.apply({ do: "putGroups", graph: "", groups: [{ id: "1", title: "Prompts", x: 330, y: -120, width: 520, height: 600, members: ["2", "3"] }] }, "Group"));
const two = await node("2");
const bar = await screen(420, -105);
await drag(bar, { x: bar.x + 40, y: bar.y });
same("a group takes its members along", [(await node("2")).x > two.x, (await node("4")).x === four.x, await steps()], [true, true, 2]);
await undo();
await drag(await title("4"), { x: (await title("4")).x, y: (await title("4")).y - 300 });
same("who is dropped into a group belongs to it", await page.evaluate(() => window.page.document.graph("").groups.get("1").members), ["2", "3", "4"]);
await page.mouse.dblclick(bar.x, bar.y);
await page.keyboard.type("Words");
await page.keyboard.press("Enter");
same("a double click renames a group", await page.evaluate(() => window.page.document.graph("").groups.get("1").title), "Words");
await page.evaluate(() => window.page.document.goTo(0));
await calls();
await page.mouse.click((await title("7")).x, (await title("7")).y, { button: "right" });
same("the right button asks for a menu", (await calls()).map((one) => [one[0], one[1]]), [["menu", { kind: "title", id: "7" }]]);
const cdp = await page.context().newCDPSession(page);
const touch = (type, points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y, id]) => ({ x, y, id })) });
const before4 = await page.evaluate(() => window.page.camera.current.zoom);
await touch("touchStart", [[300, 700, 0]]);
await touch("touchStart", [[300, 700, 0], [500, 700, 1]]);
await touch("touchMove", [[250, 700, 0], [550, 700, 1]]);
await touch("touchEnd", []);
await settle(200);
same("two fingers zoom", Math.abs((await page.evaluate(() => window.page.camera.current.zoom)) / before4 - 1.5) < 0.05, true);
const view5 = await page.evaluate(() => window.page.camera.current.view);
await touch("touchStart", [[300, 850, 0]]);
await touch("touchMove", [[340, 850, 0]]);
await touch("touchMove", [[380, 850, 0]]);
await touch("touchEnd", []);
await settle(200);
same("one finger pans", (await page.evaluate(() => window.page.camera.current.view)).x < view5.x, true);
await page.evaluate(() => window.page.camera.current.fit());
await settle(500);

// Keyboard alone.
await page.locator(".graph").focus();
await page.evaluate(() => (window.page.selection.set({}), window.page.selection.focus("1")));
await page.keyboard.press("]");
same("] follows a link", await page.evaluate(() => window.page.selection.focused !== "1"), true);
await page.evaluate(() => window.page.selection.focus("6"));
await page.keyboard.press("ArrowRight");
same("an arrow goes to the nearest node", await page.evaluate(() => window.page.selection.focused), "7");
await page.keyboard.press(" ");
same("Space selects", await selected(), ["7"]);
const seven = await node("7");
await page.keyboard.press("Shift+ArrowDown");
same("Shift+arrow moves", (await node("7")).y, seven.y + 20);
await page.keyboard.press("Delete");
same("Delete removes", await page.evaluate(() => window.page.document.node("", "7") === undefined), true);
await undo();
await page.evaluate(() => window.page.selection.focus("6"));
await page.keyboard.press("c");
await page.keyboard.type("Save");
await page.keyboard.press("Enter");
same("C links to a chosen partner", (await links()).includes("6.0>7.0"), true);
await page.evaluate(() => window.page.selection.focus("5"));
await page.keyboard.press("Enter");
await settle(200);
same("Enter goes into the node", await page.evaluate(() => document.activeElement.closest("[data-node]")?.dataset.node), "5");
const stop = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
const entry = await stop();
await page.keyboard.press("Shift+Tab");
const around = [await stop()];
while (around.length < 60 && around.at(-1) !== entry) {
  await page.keyboard.press("Shift+Tab");
  around.push(await stop());
}
same("Tab goes round the node, by every port", [around.at(-1), around.some((one) => one.startsWith("Input latent_image")), around.some((one) => one.startsWith("Output LATENT"))], [entry, true, true]);
await page.keyboard.press("Escape");
same("Esc comes out", await page.evaluate(() => document.activeElement.className.includes("graph")), true);

for (const theme of ["dark", "light"]) {
  await page.evaluate((name) => (document.documentElement.dataset.theme = name), theme);
  await settle();
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  same(`axe finds nothing serious, ${theme}`, bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((found) => found.html.slice(0, 120)).join(" | ")}`), []);
  if (values.shots === undefined) continue;
  for (const [name, value] of [["100", 1], ["40", 0.4]]) {
    await zoom(value);
    await page.screenshot({ path: join(values.shots, `canvas-${theme}-${name}.png`) });
  }
  await page.evaluate(() => window.page.camera.current.fit());
  await settle();
  await page.screenshot({ path: join(values.shots, `canvas-${theme}-fit.png`) });
}

// A list of many, and pictures.
const many = { ...objectInfo, CheckpointLoaderSimple: { ...objectInfo.CheckpointLoaderSimple, input: { required: { ckpt_name: [Array.from({ length: 3000 }, (_, n) => `model-${n}.safetensors`)] } } } };
await page.evaluate(([workflow, info]) => window.page.open(workflow, info), [example, many]);
await settle();
await page.locator('[data-node="1"] .combo').click();
same("a long list holds the rows in view alone", (await page.locator("[role=option]").count()) < 40, true);
await page.keyboard.press("PageDown");
await page.keyboard.type("2999");
await page.keyboard.press("Enter");
same("and its last one is found", (await node("1")).values.ckpt_name, "model-2999.safetensors");
const inpaint = JSON.parse(readFileSync(fileURLToPath(new URL("../../../workflows/inpaint.json", import.meta.url)), "utf8"));
await open(JSON.stringify(inpaint));
const loader = String(inpaint.nodes.find((one) => one.type === "LoadImage").id);
await page.locator(`[data-node="${loader}"] input[type=file]`).setInputFiles({ name: "cat.png", mimeType: "image/png", buffer: Buffer.from("x") });
await settle(100);
same("an uploaded picture becomes the value", (await node(loader)).values.image, "up/cat.png");
same("an unknown type shows its values and takes none", await page.locator(".node[data-unknown] .raw").count() > 0 && (await page.locator(".node[data-unknown] .widget :is(input, textarea, select)").count()) === 0, true);

same("the page reports no errors", errors, []);
await close();
for (const failure of failures) console.error(failure);
console.log(`${checks - failures.length} of ${checks} checks hold`);
process.exitCode = failures.length > 0 ? 1 : 0;
