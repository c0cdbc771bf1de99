import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visit } = await journey();

const NODES = [
  ["checkpoint", "CheckpointLoaderSimple", 90, 240],
  ["clip text encode", "CLIPTextEncode", 380, 110],
  ["clip text encode", "CLIPTextEncode", 380, 380],
  ["empty latent", "EmptyLatentImage", 380, 640],
  ["sampler", "KSampler", 830, 200],
  ["vae decode", "VAEDecode", 1110, 110],
  ["save image", "SaveImage", 1110, 330],
];

/** The middle of a port on the screen. */
async function port(page, title, side, name, which = 0) {
  const node = page.locator(".node", { hasText: title }).nth(which);
  const box = await node.locator(`.port[data-side="${side}"]`).filter({ hasText: name }).first().locator(".port-dot").boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

async function link(page, from, to) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: 4 });
  await page.mouse.move(to.x, to.y, { steps: 4 });
  await page.mouse.up();
}

test("text to image from an empty canvas by mouse", async () => {
  const { page, context, problems } = await visit({ viewport: { width: 1600, height: 1000 } });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await page.getByRole("button", { name: "New workflow" }).click();
  await page.locator(".graph").waitFor();
  for (const [query, , x, y] of NODES) {
    await page.mouse.dblclick(x + 60, y + 50);
    await page.getByRole("combobox", { name: /Add a node/ }).fill(query);
    await page.keyboard.press("Enter");
    await page.waitForTimeout(150);
  }
  assert.match(await page.locator(".statusbar").innerText(), /7 nodes/);
  await shoot(page, "building");
  for (const [from, output, to, input, fromAt, toAt] of [
    ["Load Checkpoint", "CLIP", "CLIP Text Encode", "clip", 0, 0],
    ["Load Checkpoint", "CLIP", "CLIP Text Encode", "clip", 0, 1],
    ["Load Checkpoint", "MODEL", "KSampler", "model", 0, 0],
    ["CLIP Text Encode", "CONDITIONING", "KSampler", "positive", 0, 0],
    ["CLIP Text Encode", "CONDITIONING", "KSampler", "negative", 1, 0],
    ["Empty Latent Image", "LATENT", "KSampler", "latent_image", 0, 0],
    ["KSampler", "LATENT", "VAE Decode", "samples", 0, 0],
    ["Load Checkpoint", "VAE", "VAE Decode", "vae", 0, 0],
    ["VAE Decode", "IMAGE", "Save Image", "images", 0, 0],
  ]) {
    await link(page, await port(page, from, "output", output, fromAt), await port(page, to, "input", input, toAt));
  }
  await page.locator(".node", { hasText: "CLIP Text Encode" }).first().locator("textarea").fill("a red apple");
  await shoot(page, "built");
  await page.getByRole("button", { name: "Form", exact: true }).click();
  await page.getByLabel("Width", { exact: true }).fill("128");
  await page.getByLabel("Height", { exact: true }).fill("128");
  await page.getByLabel("Steps", { exact: true }).fill("4");
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });
  await shoot(page, "built-picture");

  // Everything is a step of the history, and all of it can be taken back.
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.getByRole("button", { name: "As it was opened" }).click();
  assert.match(await page.locator(".statusbar").innerText(), /0 nodes/);
  for (let at = 0; at < 60 && (await page.locator(".past").count()) > 0; at++) await page.keyboard.press("Control+y");
  assert.match(await page.locator(".statusbar").innerText(), /7 nodes/);
  assert.deepEqual(problems, []);
  await context.close();
});

test("of a graph that makes nothing nothing is asked, so nothing is refused", async () => {
  const { page, context } = await visit();
  const [asked, refused] = [[], []];
  page.on("request", (one) => /\/(plan|forecast|prompt)$/.test(one.url()) && asked.push(one.url()));
  page.on("response", (one) => one.status() >= 400 && refused.push(one.url()));
  await page.getByRole("button", { name: "New workflow" }).click();
  await page.locator(".graph").waitFor();
  await page.waitForTimeout(4500); // longer than what was opened is left alone
  await page.mouse.dblclick(500, 400);
  await page.getByRole("combobox", { name: /Add a node/ }).fill("vae decode");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(1500);
  assert.deepEqual([asked, refused], [[], []]);
  await page.mouse.dblclick(900, 400);
  await page.getByRole("combobox", { name: /Add a node/ }).fill("save image");
  await page.keyboard.press("Enter");
  await page.waitForRequest(/\/forecast$/); // an output is something to ask about
  await context.close();
});
