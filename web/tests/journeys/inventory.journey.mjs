import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visit, visitGraph } = await journey();

async function command(page, words) {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "All commands" }).fill(words);
  await page.keyboard.press("Enter");
}

test("nobody who has not chosen sees anything but the darkroom; the choice stays", async () => {
  const { page, context } = await visit({ theme: "light" });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "dark");
  await page.locator(".rail").getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Like the system" }).click();
  assert.equal(await theme(), "light");
  await page.reload();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  assert.equal(await theme(), "light");
  await page.getByRole("button", { name: "Dark", exact: true }).or(page.locator(".rail").getByRole("button", { name: "Settings" })).first().click();
  await page.getByRole("button", { name: "Dark", exact: true }).click();
  await context.close();
});

test("a tidied graph has no node over another", async () => {
  const { page, context, problems } = await visitGraph();
  await command(page, "tidy the selected");
  await page.waitForTimeout(300);
  await page.keyboard.press(".");
  await page.waitForTimeout(600);
  await shoot(page, "tidied");
  const boxes = await page.locator(".graph .node").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().toJSON()));
  assert.equal(boxes.length, 7);
  for (const [at, a] of boxes.entries())
    for (const b of boxes.slice(at + 1)) assert.ok(a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1, JSON.stringify([a, b]));
  assert.deepEqual(problems, []);
  await context.close();
});

test("a template of nodes is kept over a reload and put into another workflow; a model file makes its loader", async () => {
  const { page, context, problems } = await visitGraph();
  await page.locator(".graph .node", { hasText: "KSampler" }).locator(".node-title").first().click();
  await command(page, "node template");
  await page.getByRole("combobox", { name: "Name of the template" }).fill("My sampler");
  await page.keyboard.press("Enter");
  await page.reload();
  await page.locator(".rail").getByRole("button", { name: "Nodes" }).click();
  await command(page, "new workflow");
  await page.getByRole("button", { name: "My sampler", exact: true }).click();
  await page.locator(".graph .node", { hasText: "KSampler" }).waitFor();
  await page.locator(".rail").getByRole("button", { name: "Models" }).click();
  await page.locator(".entry", { hasText: "blueprint" }).dragTo(page.locator(".graph"), { targetPosition: { x: 500, y: 500 } });
  await page.locator(".graph .node", { hasText: "safelight-emoji-128-blueprint" }).waitFor();
  await page.getByRole("button", { name: "Used by this graph" }).click();
  assert.deepEqual(await page.locator(".panel .entry b").allInnerTexts(), ["safelight-emoji-128-blueprint"]);
  await shoot(page, "models-used");
  assert.deepEqual(problems, []);
  await context.close();
});

test("locked, without links, only the graph: each says so and has the way back", async () => {
  const { page, context } = await visitGraph();
  for (const key of ["Shift+L", "l", "f"]) await page.keyboard.press(key);
  assert.equal(await page.locator(".rail").isVisible(), false);
  for (const words of ["Locked", "Links hidden", "Only the graph"]) await page.getByRole("button", { name: words, exact: true }).click();
  assert.equal(await page.locator(".rail").isVisible(), true);
  assert.equal(await page.locator(".modes button").count(), 0);
  await context.close();
});

test("a paused queue is paused after a reload; tokens are counted; examples say what they need", async () => {
  const { page, context } = await visitGraph();
  await page.locator(".graph .node", { hasText: "Prompt" }).first().getByText("3 / 75").waitFor();
  await page.locator(".rail").getByRole("button", { name: "Queue" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Go on" }).waitFor();
  await page.reload();
  await page.locator(".rail").getByRole("button", { name: "Queue" }).click();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.locator(".rail").getByRole("button", { name: "Workflows" }).click();
  await page.locator(".entry", { hasText: "Controlnet edges" }).getByText(/safelight-emoji-128-edges/).waitFor();
  await shoot(page, "examples");
  await context.close();
});
