import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visit } = await journey();

const active = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.labels?.[0]?.textContent ?? "");

async function until(page, key, fits, what) {
  for (let at = 0; at < 40; at++) {
    const now = await active(page);
    if (process.env.SAFELIGHT_VERBOSE) console.log(key, now);
    if (fits(now)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`${what} is not reached by ${key}`);
}

async function pick(page, box, text) {
  await page.getByRole("combobox", { name: box }).waitFor();
  await page.keyboard.type(text);
  await page.waitForTimeout(120);
  await page.keyboard.press("Enter");
  await page.waitForTimeout(150);
}

/** Put the keyboard on a node by its title. */
async function go(page, query) {
  await page.keyboard.press("Control+f");
  await pick(page, "Find in the graph", query);
}

/** From the node that the keyboard is on to one of its ports, and the list of what fits there. */
async function partners(page, port) {
  await page.keyboard.press("Enter");
  await page.waitForTimeout(200);
  await until(page, "Tab", (label) => label.startsWith(`${port},`), port);
  await page.keyboard.press("c");
}

async function linkNew(page, node, port, type) {
  await go(page, node);
  await partners(page, port);
  await page.waitForTimeout(150);
  await page.keyboard.type("New node");
  await page.waitForTimeout(120);
  await page.keyboard.press("Enter");
  await pick(page, /Add a node/, type);
}

async function linkTo(page, node, port, partner) {
  await go(page, node);
  await partners(page, port);
  await page.waitForTimeout(150);
  await page.keyboard.type(partner);
  await page.waitForTimeout(120);
  await page.keyboard.press("Enter");
  await page.waitForTimeout(120);
}

test("text to image by keyboard alone: built, run, looked at, taken back", async () => {
  const { page, context, problems } = await visit({ viewport: { width: 1600, height: 1000 } });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await page.keyboard.press("Control+Alt+n");
  await page.locator(".graph").waitFor();
  await page.keyboard.press("Shift+A");
  await pick(page, /Add a node/, "sampler");
  await linkNew(page, "KSampler", "Input model", "load checkpoint");
  await linkNew(page, "KSampler", "Input positive", "clip text encode");
  await linkTo(page, "clip text encode", "Input clip", "load checkpoint");
  await linkTo(page, "KSampler", "Input negative", "clip text encode");
  await linkNew(page, "KSampler", "Input latent_image", "empty latent image");
  await linkNew(page, "KSampler", "Output LATENT", "vae decode");
  await linkTo(page, "vae decode", "Input vae", "load checkpoint");
  await linkNew(page, "vae decode", "Output IMAGE", "save image");
  await page.keyboard.press("Control+k");
  await pick(page, "All commands", "tidy");
  await page.waitForTimeout(200);
  // With nothing selected the dot shows everything.
  await page.keyboard.press("Escape");
  await page.keyboard.press(".");
  await page.waitForTimeout(800);
  await shoot(page, "keyboard-built");
  const links = await page.locator(".port-dot[data-linked]").count();
  assert.equal(links, 15, "ports of nine links, those that several share counted once");

  // Small and quick, then run.
  await page.keyboard.press("Control+Alt+f");
  await page.getByLabel("Steps", { exact: true }).waitFor();
  for (const [name, value] of [["Steps", "4"], ["Width", "128"], ["Height", "128"]]) {
    await until(page, "Tab", (label) => label === name, name);
    await page.keyboard.press("Control+a");
    await page.keyboard.type(value);
  }
  await page.keyboard.press("Control+Enter");
  await page.waitForTimeout(1500);
  await shoot(page, "keyboard-run");
  await page.locator(".stage .picture img").waitFor({ timeout: 30_000 });
  await shoot(page, "keyboard-picture");
  assert.deepEqual(problems, []);
  await context.close();
});
