/** Inside a subgraph: its borders moved, its ports renamed, reordered and taken away, with the instances following. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journey, middle } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visitGraph } = await journey();

/** The example's sampler and decoder as a subgraph, entered. */
async function openInside() {
  const opened = await visitGraph();
  const { page } = opened;
  await title(page, "KSampler").click();
  await title(page, "VAE Decode").click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+Shift+e");
  const made = page.locator(".graph .node[data-subgraph]");
  await made.waitFor();
  const names = () => made.locator('.port[data-side="input"] .port-name').allInnerTexts();
  const enter = async () => {
    const box = await made.boundingBox();
    await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height - 6);
    await page.locator('.node[data-node="-10"]').waitFor();
    await page.waitForTimeout(400);
  };
  const leave = async () => {
    await page.locator(".crumbs button").first().click();
    await made.waitFor();
  };
  const outside = await names();
  await enter();
  return { ...opened, enter, leave, names, outside };
}
const title = (page, text) => page.locator(".graph .node", { has: page.locator(".node-name", { hasText: text }) }).locator(".node-name").first();
const ports = (page) => page.locator('.node[data-node="-10"] .port-name').allInnerTexts();
async function drag(page, from, to) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  for (let step = 1; step <= 6; step++) await page.mouse.move(from.x + ((to.x - from.x) * step) / 6, from.y + ((to.y - from.y) * step) / 6);
  await page.mouse.up();
  await page.waitForTimeout(120);
}

test("a border is moved by hand and by keys, stays there, and goes back", async () => {
  const { page, context, problems, enter, leave } = await openInside();
  const border = page.locator('.node[data-node="-10"]');
  const stood = await border.boundingBox();
  const from = await middle(border.locator(".node-name"));
  await drag(page, from, { x: from.x + 20, y: from.y - 60 });
  const moved = await border.boundingBox();
  assert.ok(Math.abs(moved.y - stood.y + 60) <= 4 && Math.abs(moved.x - stood.x - 20) <= 4, JSON.stringify([stood, moved]));
  await shoot(page, "border-moved");
  await leave();
  await enter();
  const again = await border.boundingBox();
  const gap = async () => (await page.locator('.node[data-node="-20"]').boundingBox()).y - (await border.boundingBox()).y;
  assert.ok(again && (await gap()) > 40, "it stands where it was left");
  await border.locator(".node-name").click();
  await page.keyboard.press("Shift+ArrowDown");
  await page.waitForTimeout(100);
  await page.keyboard.press("Control+z");
  await page.keyboard.press("Control+z");
  await page.waitForTimeout(200);
  assert.ok(Math.abs(await gap()) < 2, "and beside the nodes when all is undone");
  await page.keyboard.press("Delete");
  await page.waitForTimeout(200);
  assert.ok((await page.locator('.node[data-node="-10"] .port-dot[data-linked]').count()) > 2, "a border is not deleted, nor its links");
  assert.deepEqual(problems, []);
  await context.close();
});

test("ports are renamed by double click, F2 and menu; instances follow; undo takes each back", async () => {
  const { page, context, problems, leave, enter, names, outside } = await openInside();
  const before = await ports(page);
  assert.deepEqual(before, outside);
  await page.locator('.node[data-node="-10"] .port-name').first().dblclick();
  await page.getByRole("textbox", { name: "Name of the port" }).fill("the model");
  await shoot(page, "port-renaming");
  await page.keyboard.press("Enter");
  await page.locator('.node[data-node="-10"] [data-port="output1"]').focus();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: "Name of the port" }).fill("what to show");
  await page.keyboard.press("Enter");
  await page.locator('.node[data-node="-10"] .port-name').nth(2).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByRole("textbox", { name: "Name of the port" }).fill("what not");
  await page.keyboard.press("Enter");
  const now = ["the model", "what to show", "what not", ...before.slice(3)];
  assert.deepEqual(await ports(page), now);
  await leave();
  assert.deepEqual(await names(), now);
  await shoot(page, "port-renamed-outside");
  await enter();
  for (let n = 0; n < 3; n++) await page.keyboard.press("Control+z");
  assert.deepEqual(await ports(page), before);
  assert.deepEqual(problems, []);
  await context.close();
});

test("ports change places by drag and by keys, links and instances with them; one is taken away", async () => {
  const { page, context, problems, leave, enter, names } = await openInside();
  const [a, b, c, ...rest] = await ports(page);
  const label = (n) => page.locator('.node[data-node="-10"] .port-name').nth(n);
  const from = await middle(label(0));
  const to = await middle(label(2));
  await drag(page, from, { x: from.x, y: to.y + 2 });
  assert.deepEqual(await ports(page), [b, c, a, ...rest]);
  await shoot(page, "ports-reordered");
  await page.locator('.node[data-node="-10"] [data-port="output2"]').focus();
  await page.keyboard.press("Alt+ArrowUp");
  await page.waitForTimeout(100);
  assert.deepEqual(await ports(page), [b, a, c, ...rest]);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.port), "output1", "the focus goes along");
  await leave();
  assert.deepEqual(await names(), [b, a, c, ...rest]);
  await enter();
  await label(1).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Take this port away" }).click();
  assert.deepEqual(await ports(page), [b, c, ...rest]);
  await leave();
  assert.deepEqual(await names(), [b, c, ...rest]);
  for (let n = 0; n < 3; n++) await page.keyboard.press("Control+z");
  assert.deepEqual(await names(), [a, b, c, ...rest]);
  assert.deepEqual(problems, []);
  await context.close();
});
