import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";
import { dropFile, ROOT, shoot } from "./server.mjs";

const { visit } = await journey();

const file = () => JSON.parse(readFileSync(join(ROOT, "workflows/text_to_image.json"), "utf8"));
const drop = (page, name, document) => dropFile(page, name, JSON.stringify(document), "application/json");
const node = (page, title) => page.locator(".node", { hasText: title }).first();

test("a missing model and a missing node are told in place, and one is repaired by a press", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const document = file();
  document.nodes[0].widgets_values = ["safelight-emoji-512-gone.safetensors"];
  document.nodes.push({ id: 90, type: "NobodyHasThis", pos: [0, 560], size: [260, 120], flags: {}, order: 9, mode: 0, inputs: [], outputs: [{ name: "out", type: "THING", links: null }], properties: { kept: true }, widgets_values: ["kept", 7] });
  await drop(page, "broken.json", document);
  await page.locator(".tab").nth(1).waitFor();
  await page.getByText(/Not installed here: NobodyHasThis/).waitFor();
  const fix = page.getByRole("button", { name: /Use safelight-emoji-128/ });
  await fix.waitFor();
  await shoot(page, "problems");
  await fix.click();
  await fix.waitFor({ state: "detached" });
  await page.keyboard.press("Control+Enter");
  await node(page, "Save Image").locator("img").first().waitFor({ timeout: 60_000 });

  const [saved] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Control+k").then(async () => {
    await page.getByRole("combobox", { name: "All commands" }).fill("Export as a file");
    await page.keyboard.press("Enter");
  })]);
  const written = JSON.parse(readFileSync(await saved.path(), "utf8"));
  const kept = written.nodes.find((one) => one.id === 90);
  assert.deepEqual([kept.type, kept.widgets_values, kept.properties], ["NobodyHasThis", ["kept", 7], { kept: true }]);
  assert.deepEqual(problems, []);
  await context.close();
});

test("what will run again is marked before the run; undo takes the mark and keeps the picture", async () => {
  const { page, context } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  const marks = page.getByRole("img", { name: "Runs again" });
  await node(page, "KSampler").waitFor();
  assert.equal(await marks.count(), 0);
  await node(page, "Negative prompt").locator("textarea").fill("blurry");
  await marks.first().waitFor();
  await page.waitForTimeout(400);
  await shoot(page, "runs-again");
  // The negative prompt, the sampler, the decoder and what saves: not the checkpoint and not the other prompt.
  assert.equal(await marks.count(), 4);
  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.getByRole("button", { name: "As it was opened" }).click();
  await marks.first().waitFor({ state: "detached" });
  assert.equal(await node(page, "Save Image").locator("img").count(), 1);
  await context.close();
});

test("a run goes up to the selected node and no further", async () => {
  const { page, context } = await visit();
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await node(page, "VAE Decode").locator("text=VAE Decode").click();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "All commands" }).fill("run what the selected");
  await page.keyboard.press("Enter");
  await node(page, "VAE Decode").locator("img").first().waitFor({ timeout: 60_000 });
  assert.equal(await node(page, "Save Image").locator("img").count(), 0);
  await context.close();
});

test("broken JSON says where, and the form is made of chosen inputs", async () => {
  const { page, context } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await dropFile(page, "broken.json", '{\n  "nodes": [,]\n}', "application/json");
  await page.getByText(/line 2, column 13/).waitFor();
  assert.equal(await page.locator(".tab").count(), 1);

  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await node(page, "KSampler").waitFor();
  await page.waitForTimeout(400); // the view comes to rest
  await node(page, "KSampler").locator("text=KSampler").click({ button: "right" });
  await page.getByRole("menuitem", { name: "In the form: sampler_name" }).waitFor();
  await shoot(page, "node-menu");
  await page.getByRole("menuitem", { name: "In the form: sampler_name" }).click();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  await page.getByLabel("sampler name").waitFor();
  assert.equal(await page.locator(".fieldrow").count(), 1);
  await context.close();
});
