/** Finding one's way in a graph: portals, the traced signal, bookmarks, selections along links, groups' menus. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journey, middle } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visitGraph } = await journey();

const node = (page, text) => page.locator(".graph .node", { has: page.locator(".node-name", { hasText: text }) }).first();
const title = (page, text) => node(page, text).locator(".node-name").first();
const selected = (page) => page.locator(".graph .node[data-selected] .node-name").allInnerTexts().then((all) => all.sort());
async function nodeMenu(page, text, ...items) {
  await title(page, text).click({ button: "right" });
  for (const item of items) await page.getByRole("menuitem", { name: item }).click();
}

test("links become portals with names, and wires again", async () => {
  const { page, context, problems } = await visitGraph();
  await nodeMenu(page, "Checkpoint", "Signal and links…", /Links as portals/);
  await page.keyboard.press("Escape");
  await page.waitForTimeout(200);
  await shoot(page, "portals");
  const dot = await middle(node(page, "VAE Decode").getByRole("button", { name: /Input vae/ }).locator(".port-dot"));
  const tag = { x: dot.x - 22, y: dot.y };
  await page.mouse.click(tag.x, tag.y);
  await page.getByRole("menuitem", { name: "Name the portal…" }).click();
  await page.getByRole("textbox", { name: "Name of the portal" }).fill("the decoder");
  await page.keyboard.press("Enter");
  await page.mouse.click(tag.x, tag.y);
  await shoot(page, "portal-menu");
  await page.getByRole("menuitem", { name: "Go to where the link starts" }).click();
  assert.deepEqual(await selected(page), ["Checkpoint"]);
  await page.waitForTimeout(400);
  await page.keyboard.press("Alt+p");
  await page.keyboard.press("Escape");
  await page.keyboard.press(".");
  await page.waitForTimeout(500);
  await shoot(page, "portals-gone");
  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.locator(".panel").getByText("Name a portal").waitFor();
  assert.equal(await page.locator(".panel").getByText("Portal or wire").count(), 2);
  assert.deepEqual(problems, []);
  await context.close();
});

test("what feeds a node and what it feeds is traced and selected", async () => {
  const { page, context, problems } = await visitGraph();
  await title(page, "Empty latent").click();
  await page.keyboard.press("t");
  await page.waitForTimeout(200);
  await shoot(page, "traced");
  assert.deepEqual((await page.locator(".node[data-faded] .node-name").allInnerTexts()).sort(), ["Checkpoint", "Negative prompt", "Prompt"]);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+Shift+ArrowRight");
  assert.deepEqual(await selected(page), ["Empty latent", "KSampler", "Save Image", "VAE Decode"]);
  await title(page, "Negative prompt").click();
  await page.keyboard.press("Control+Shift+ArrowLeft");
  assert.deepEqual(await selected(page), ["Checkpoint", "Negative prompt"]);
  await nodeMenu(page, "VAE Decode", "Signal and links…", "Trace the signal, or stop");
  assert.equal(await page.locator(".node[data-faded]").count(), 0, "everything feeds the decoder or is fed by it");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a bookmark of a node and one of a place lead back, from within a subgraph and after a reload too", async () => {
  const { page, context, problems } = await visitGraph();
  await title(page, "Save Image").click();
  await page.keyboard.press("Shift+Digit1");
  await page.getByText("Bookmark 1: this node. 1 leads back.").waitFor();
  await title(page, "KSampler").click();
  await page.keyboard.press("Control+Shift+e");
  const made = page.locator(".graph .node[data-subgraph]");
  await made.waitFor();
  const box = await made.boundingBox();
  await page.mouse.dblclick(box.x + box.width / 2, box.y + box.height - 6);
  await page.locator('.node[data-node="-10"]').waitFor();
  await page.keyboard.press("Alt+=");
  await page.waitForTimeout(500);
  const view = () => page.evaluate(() => document.querySelector(".graph-world").style.transform);
  const there = await view();
  await page.locator(".graph").focus();
  await page.keyboard.press("Shift+Digit2");
  await page.getByText("Bookmark 2: this place. 2 leads back.").waitFor();
  await page.keyboard.press("1");
  await page.waitForTimeout(700);
  assert.deepEqual(await selected(page), ["Save Image"]);
  assert.equal(await page.locator(".crumbs").count(), 0);
  await page.waitForTimeout(1500);
  await page.reload();
  await page.locator(".graph .node").first().waitFor();
  await page.locator(".graph").focus();
  await page.keyboard.press("2");
  await page.waitForTimeout(900);
  assert.equal(await page.locator(".crumbs").count(), 1);
  const numbers = (text) => text.match(/-?[\d.]+/g).map(Number);
  for (const [at, number] of numbers(await view()).entries()) assert.ok(Math.abs(number - numbers(there)[at]) < 1.5, `${await view()} is not ${there}`);
  // A digit typed into a field goes into the field.
  await page.getByRole("textbox").or(page.getByRole("spinbutton")).first().focus();
  await page.keyboard.press("1");
  await page.waitForTimeout(300);
  assert.equal(await page.locator(".crumbs").count(), 1);
  assert.deepEqual(problems, []);
  await context.close();
});

test("all nodes collapse and expand; a node goes and its links are led on; a group has a menu", async () => {
  const { page, context, problems } = await visitGraph();
  const command = async (words) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "All commands" }).fill(words);
    await page.keyboard.press("Enter");
    await page.waitForTimeout(200);
  };
  await command("collapse all");
  assert.ok((await node(page, "KSampler").boundingBox()).height < 40);
  await shoot(page, "collapsed-all");
  await command("expand all");
  assert.ok((await node(page, "KSampler").boundingBox()).height > 100);
  await title(page, "KSampler").click();
  await page.keyboard.press("Control+Delete");
  assert.equal(await node(page, "KSampler").count(), 0);
  assert.equal(await node(page, "VAE Decode").getByRole("button", { name: "Input samples, LATENT, linked" }).count(), 0);
  await page.keyboard.press("Control+z");
  await node(page, "KSampler").waitFor();
  await title(page, "KSampler").click();
  await page.keyboard.press("Delete");
  assert.equal(await node(page, "KSampler").count(), 0);
  assert.equal(await node(page, "VAE Decode").getByRole("button", { name: "Input samples, LATENT, linked" }).count(), 1);
  await title(page, "Empty latent").click();
  await page.keyboard.press("Control+Shift+ArrowRight");
  assert.deepEqual(await selected(page), ["Empty latent", "Save Image", "VAE Decode"]);
  await page.keyboard.press("Control+z");
  await node(page, "KSampler").waitFor();
  await title(page, "Prompt").click();
  await title(page, "Negative prompt").click({ modifiers: ["Shift"] });
  await page.keyboard.press("Control+g");
  await page.getByRole("textbox", { name: "Title of the group" }).press("Enter");
  const top = await node(page, "Prompt").boundingBox();
  await page.mouse.click(top.x + 40, top.y - 22, { button: "right" });
  await shoot(page, "group-menu");
  await page.getByRole("menuitem", { name: "Mute" }).click();
  assert.equal(await page.locator('.node[data-mode="mute"]').count(), 2);
  await page.mouse.click(top.x + 40, top.y - 22, { button: "right" });
  await page.getByRole("menuitem", { name: "Colour: Blue" }).click();
  await page.mouse.click(top.x + 40, top.y - 22, { button: "right" });
  await page.getByRole("menuitem", { name: "Select its nodes" }).click();
  assert.deepEqual(await selected(page), ["Negative prompt", "Prompt"]);
  await nodeMenu(page, "Prompt", "Align and distribute…", "Align right");
  await shoot(page, "group-blue");
  assert.deepEqual(problems, []);
  await context.close();
});
