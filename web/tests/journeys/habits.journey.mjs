/** What hands do without thinking: adding, dragging, pasting, stepping numbers, grouping. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journey, middle } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visitGraph } = await journey();
const openGraph = () => visitGraph({ permissions: ["clipboard-read", "clipboard-write"] });

const node = (page, text) => page.locator(".graph .node", { has: page.locator(".node-name", { hasText: text }) });
const title = (page, text) => node(page, text).locator(".node-name").first();
async function drag(page, from, to, keys = []) {
  for (const key of keys) await page.keyboard.down(key);
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  for (let step = 1; step <= 6; step++) await page.mouse.move(from.x + ((to.x - from.x) * step) / 6, from.y + ((to.y - from.y) * step) / 6);
  await page.mouse.up();
  for (const key of keys) await page.keyboard.up(key);
  await page.waitForTimeout(150);
}
const search = (page) => page.getByRole("combobox", { name: "Add a node…" });
async function add(page, words) {
  await search(page).fill(words);
  await page.keyboard.press("Enter");
  await page.waitForTimeout(250);
}

test("the search knows samplers, notes, reroutes and the subgraphs of the workflow", async () => {
  const { page, context, problems } = await openGraph();
  const first = () => page.getByRole("option").first().innerText();
  await page.mouse.dblclick(700, 760);
  await search(page).fill("sampler");
  assert.match(await first(), /^KSampler\b/);
  await add(page, "note");
  await node(page, "Note").getByRole("textbox").fill("Remember: שלום and مرحبا");
  await page.mouse.dblclick(1100, 700);
  await add(page, "reroute");
  await title(page, "VAE Decode").click();
  await page.keyboard.press("Control+Shift+e");
  await page.mouse.dblclick(700, 640);
  await search(page).fill("subgraph");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(250);
  assert.equal(await page.locator(".graph .node[data-subgraph]").count(), 2);
  await shoot(page, "search-own");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a wire let go over nothing offers what fits and links it, from a widget too", async () => {
  const { page, context, problems } = await openGraph();
  const latent = await middle(node(page, "KSampler").getByRole("button", { name: /Output LATENT/ }).locator(".port-dot"));
  await drag(page, latent, { x: latent.x + 120, y: latent.y + 260 });
  await add(page, "upscale latent");
  assert.equal(await node(page, "Upscale Latent").getByRole("button", { name: "Input samples, LATENT, linked" }).count(), 1);
  await node(page, "KSampler").hover();
  const steps = await middle(node(page, "KSampler").getByRole("button", { name: /Input steps/ }).locator(".port-dot"));
  await drag(page, steps, { x: steps.x - 60, y: steps.y + 250 });
  await page.getByText("Fits INT").waitFor();
  await shoot(page, "search-fits");
  await add(page, "primitive");
  await page.waitForTimeout(200);
  assert.equal(await node(page, "KSampler").getByRole("button", { name: "Input steps, INT, linked" }).count(), 1);
  assert.equal(await node(page, "Primitive").getByRole("spinbutton").first().inputValue(), "20");
  await shoot(page, "wire-to-nothing");
  await page.keyboard.press("Control+z");
  assert.equal(await node(page, "Primitive").count(), 0);
  assert.deepEqual(problems, []);
  await context.close();
});

test("copies go where the pointer is, with their links when asked; Alt drags copies", async () => {
  const { page, context, problems } = await openGraph();
  await title(page, "KSampler").click();
  await page.keyboard.press("Control+c");
  await page.mouse.move(500, 760);
  await page.keyboard.press("Control+Shift+v");
  await page.waitForTimeout(300);
  const copy = page.locator(".graph .node[data-selected]");
  const box = await copy.boundingBox();
  assert.ok(Math.abs(box.x - 500) < 8 && Math.abs(box.y - 760) < 8, JSON.stringify(box));
  assert.equal(await copy.locator(".port[data-side=input] .port-dot[data-linked]").count(), 4);
  const from = await middle(title(page, "Empty latent"));
  await drag(page, from, { x: from.x, y: from.y + 190 }, ["Alt"]);
  assert.equal(await node(page, "Empty latent").count(), 2);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a pasted picture becomes a node that loads it", async () => {
  const { page, context, problems } = await openGraph();
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(32, 24);
    canvas.getContext("2d").fillRect(0, 0, 32, 24);
    const blob = await canvas.convertToBlob({ type: "image/png" });
    await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
  });
  await page.mouse.move(640, 720);
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+v");
  await node(page, "Load Image").waitFor();
  assert.match(await node(page, "Load Image").innerText(), /pasted/);
  await shoot(page, "pasted-picture");
  assert.deepEqual(problems, []);
  await context.close();
});

test("numbers step by ten with Shift and finely with Ctrl; choices step with arrows; weights with Ctrl and arrows", async () => {
  const { page, context, problems } = await openGraph();
  const cfg = node(page, "KSampler").getByRole("spinbutton", { name: "cfg" });
  await cfg.focus();
  const press = async (key, wanted) => {
    await page.keyboard.press(key);
    assert.equal(await cfg.inputValue(), wanted, key);
  };
  await press("ArrowUp", "4.10");
  await press("Shift+ArrowUp", "5.10");
  await press("Control+ArrowUp", "5.11");
  await press("Control+ArrowDown", "5.10");
  const at = await middle(cfg);
  await drag(page, at, { x: at.x + 40, y: at.y });
  assert.equal(await cfg.inputValue(), "6.10");
  await drag(page, at, { x: at.x + 40, y: at.y }, ["Control"]);
  assert.equal(await cfg.inputValue(), "6.20");
  const sampler = node(page, "KSampler").getByRole("button", { name: /^scheduler/ });
  const word = () => sampler.innerText();
  const before = await word();
  await sampler.focus();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await word(), before);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await word(), before);
  const prompt = node(page, "Prompt").first().getByRole("textbox");
  await prompt.fill("a red apple");
  await prompt.press("End");
  await page.keyboard.press("Control+ArrowUp");
  await page.keyboard.press("Control+ArrowUp");
  assert.equal(await prompt.inputValue(), "a red (apple:1.1)");
  await prompt.evaluate((field) => {
    // Keys that come within one frame.
    for (let key = 0; key < 2; key++) field.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", ctrlKey: true, bubbles: true, cancelable: true }));
  });
  assert.equal(await prompt.inputValue(), "a red (apple:1.2)");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a new group asks for its name; Alt and a click on a wire bends it", async () => {
  const { page, context, problems } = await openGraph();
  await title(page, "VAE Decode").click();
  await page.keyboard.press("Control+g");
  const name = page.getByRole("textbox", { name: "Title of the group" });
  await name.fill("Decoding");
  await page.keyboard.press("Enter");
  const from = await middle(node(page, "KSampler").getByRole("button", { name: /Output LATENT/ }).locator(".port-dot"));
  const to = await middle(node(page, "VAE Decode").getByRole("button", { name: /Input samples/ }).locator(".port-dot"));
  const at = { x: from.x + (to.x - from.x) * 0.5, y: from.y + (to.y - from.y) * 0.5 };
  await page.keyboard.down("Alt");
  await page.mouse.click(at.x + 1, at.y + 12);
  await page.keyboard.up("Alt");
  await page.waitForTimeout(200);
  await shoot(page, "group-named");
  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.locator(".panel").getByText("Rename group").waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("an input inside a subgraph is shown outside from the widget's menu; leaving selects the node that was entered", async () => {
  const { page, context, problems } = await openGraph();
  await title(page, "KSampler").click();
  await page.keyboard.press("Control+Shift+e");
  const made = page.locator(".graph .node[data-subgraph]");
  await made.waitFor();
  const box = await made.boundingBox();
  await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height - 6);
  await page.locator('.node[data-node="-10"]').waitFor();
  await page.waitForTimeout(400);
  await node(page, "KSampler").getByRole("spinbutton", { name: "steps" }).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Show outside: steps" }).click();
  assert.equal((await page.locator('.node[data-node="-10"] .port-name').allInnerTexts()).at(-1), "steps");
  await page.locator(".graph").focus();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await made.waitFor();
  assert.equal(await made.getByRole("spinbutton", { name: "steps" }).inputValue(), "20");
  assert.equal(await made.getAttribute("data-selected"), "");
  await page.keyboard.press(".");
  await page.waitForTimeout(500);
  assert.ok((await made.boundingBox()).width > 200, "the dot shows what is selected");
  await made.locator(".node-name").click({ button: "right" });
  await page.getByRole("menuitem", { name: "Copy", exact: false }).first().click();
  await page.keyboard.press("Control+Alt+n");
  await page.mouse.move(500, 400);
  await page.keyboard.press("Control+v");
  await page.locator(".graph .node[data-subgraph]").waitFor();
  assert.equal(await page.locator(".graph .node").count(), 1);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a reroute goes without its wire, a group moves alone with Ctrl, a workflow is pasted as text", async () => {
  const { page, context, problems } = await openGraph();
  const latent = await middle(node(page, "Empty latent").getByRole("button", { name: /Output LATENT/ }).locator(".port-dot"));
  await drag(page, latent, { x: latent.x + 60, y: latent.y + 140 });
  await add(page, "reroute");
  const reroute = page.locator(".graph .node", { has: page.locator(".node-name", { hasText: "Reroute" }) });
  const out = await middle(reroute.getByRole("button", { name: /^Output/ }).locator(".port-dot"));
  const input = await middle(node(page, "KSampler").getByRole("button", { name: /Input latent_image/ }).locator(".port-dot"));
  await drag(page, out, input);
  await reroute.locator(".node-name").click();
  await shoot(page, "reroute");
  await page.keyboard.press("Delete");
  assert.equal(await reroute.count(), 0);
  assert.equal(await node(page, "KSampler").getByRole("button", { name: "Input latent_image, LATENT, linked" }).count(), 1);
  await page.mouse.click(1000, 600, { button: "right" });
  await page.getByRole("menuitem", { name: "Add a group here" }).click();
  await page.getByRole("textbox", { name: "Title of the group" }).fill("Empty");
  await page.keyboard.press("Enter");
  await title(page, "Save Image").click();
  await page.keyboard.press("Control+g");
  await page.keyboard.press("Enter");
  const box = await node(page, "Save Image").boundingBox();
  const head = { x: box.x + 60, y: box.y - 22 };
  await drag(page, head, { x: head.x - 40, y: head.y - 60 }, ["Control"]);
  assert.deepEqual(await node(page, "Save Image").boundingBox(), box, "the node stays");
  const text = JSON.stringify({ "1": { class_type: "EmptyLatentImage", inputs: { width: 64, height: 64, batch_size: 1 } } });
  await page.evaluate((words) => navigator.clipboard.writeText(words), text);
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+v");
  await page.locator(".tab, [role=tab]", { hasText: "pasted" }).first().waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("a wire let go on a widget is that widget's, by drag and by two clicks", async () => {
  const { page, context, problems } = await openGraph();
  const number = async (x, y) => {
    await page.mouse.dblclick(x, y);
    await search(page).fill("Int");
    await page.getByRole("option", { name: /^Int\b.*PrimitiveInt/ }).first().click();
    await page.waitForTimeout(250);
    return middle(page.locator(".graph .node[data-selected]").getByRole("button", { name: /^Output/ }).locator(".port-dot"));
  };
  const linked = (name) => node(page, "KSampler").getByRole("button", { name: `Input ${name}, INT, linked` }).count();
  const first = await number(200, 720);
  await drag(page, first, await middle(node(page, "KSampler").getByRole("spinbutton", { name: "steps" })));
  assert.equal(await linked("steps"), 1);
  const second = await number(200, 180);
  await page.mouse.click(second.x, second.y);
  const width = await middle(node(page, "Empty latent").getByRole("spinbutton", { name: "width" }));
  await page.mouse.move(width.x, width.y, { steps: 5 });
  await shoot(page, "wire-to-widget");
  await page.mouse.click(width.x, width.y);
  await page.waitForTimeout(200);
  assert.equal(await node(page, "Empty latent").getByRole("button", { name: "Input width, INT, linked" }).count(), 1);
  assert.equal(await page.locator(".number-field:focus").count(), 0);
  assert.deepEqual(problems, []);
  await context.close();
});
