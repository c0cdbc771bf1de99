import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { dropFile, openPage, ROOT, shoot, startBrowser, startServer } from "./server.mjs";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
  await fillOutputs();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const api = JSON.parse(readFileSync(join(ROOT, "workflows/text_to_image_api.json"), "utf8"));

/** Some pictures of the shipped model, made over the API. */
async function fillOutputs() {
  const sampler = Object.keys(api).find((id) => api[id].class_type === "KSampler");
  const text = Object.keys(api).find((id) => api[id].class_type === "CLIPTextEncode" && api[id].inputs.text !== "");
  for (const [words, seed] of [["a red apple", 11], ["a yellow star", 12], ["a blue fish", 13], ["a red apple", 14]]) {
    const prompt = structuredClone(api);
    Object.assign(prompt[sampler].inputs, { seed, steps: 8 });
    prompt[text].inputs.text = words;
    await post("/prompt", { prompt, extra_data: { workflow_name: "From the API" } });
  }
  await settled();
}

async function post(path, body) {
  const answer = await fetch(server.url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
}

async function settled() {
  for (let tries = 0; tries < 600; tries++) {
    const { exec_info } = await (await fetch(`${server.url}/prompt`)).json();
    if (exec_info.queue_remaining === 0) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("the queue does not empty");
}

async function check(page, name) {
  await page.waitForTimeout(300);
  await shoot(page, name);
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  return bad.map((one) => `${name}: ${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
}

/** Pixels of a picture of the server. */
const pixels = (page, query) =>
  page.evaluate(async (query) => {
    const answer = await fetch(`/view?${query}`);
    const bitmap = await createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { width: bitmap.width, height: bitmap.height, data: Array.from(context.getImageData(0, 0, bitmap.width, bitmap.height).data) };
  }, query);

const openGallery = async (page) => {
  await page.locator(".rail").getByRole("button", { name: "Pictures" }).click();
  await page.locator(".tile img").first().waitFor();
};

/** Drop a workflow file and show its graph. */
async function openWorkflow(page, name, change = (text) => text) {
  const count = await page.locator(".tab").count();
  await dropFile(page, `${name}.json`, change(readFileSync(join(ROOT, "workflows", `${name}.json`), "utf8")), "application/json");
  await page.locator(".tab").nth(count).waitFor();
  await page.locator(".graph").waitFor();
}

/** Go to a node of the graph and choose from its menu. */
async function nodeMenu(page, title, item) {
  const node = page.locator(`.node[aria-label="${title}"]`);
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+f");
  await page.getByRole("combobox", { name: "Find in the graph" }).fill(title);
  await page.keyboard.press("Enter");
  await node.waitFor();
  await page.waitForTimeout(400);
  await node.click({ button: "right", position: { x: 90, y: 14 } });
  await page.getByRole("menuitem", { name: item }).click();
}

for (const theme of ["dark", "light"]) {
  test(`no serious finding on any screen for pictures, ${theme}`, async () => {
    const { page, context, problems } = await openPage(browser, server.url, { theme });
    const found = [];
    await page.getByRole("button", { name: "Make the picture" }).waitFor();
    await openGallery(page);
    found.push(...(await check(page, `${theme}-gallery-panel`)));
    await page.keyboard.press("Shift+G");
    await page.locator("dialog.gallery-screen .tile img").first().waitFor();
    await page.locator("dialog .tile").nth(0).click({ modifiers: ["Control"] });
    await page.locator("dialog .tile").nth(1).click({ modifiers: ["Control"] });
    found.push(...(await check(page, `${theme}-gallery`)));
    await page.getByRole("button", { name: "Compare" }).click();
    await page.locator(".pic-table tbody tr").first().waitFor();
    found.push(...(await check(page, `${theme}-compare`)));
    await page.getByRole("button", { name: "Difference" }).click();
    found.push(...(await check(page, `${theme}-compare-difference`)));
    await page.keyboard.press("Escape");
    await page.locator("dialog.gallery-screen").waitFor();
    await page.locator("dialog .tile").nth(1).click();
    await page.locator("dialog.viewer .facts dt").first().waitFor();
    found.push(...(await check(page, `${theme}-viewer`)));
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    await openWorkflow(page, "inpaint_region");
    await nodeMenu(page, "Picture", "Paint a mask…");
    await page.locator("dialog.painter canvas").waitFor();
    const box = await page.locator(".pic-stage.paint").boundingBox();
    await page.mouse.move(box.x + box.width / 2 - 60, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2 - 60, { steps: 12 });
    await page.mouse.up();
    found.push(...(await check(page, `${theme}-mask`)));
    await page.keyboard.press("Escape");
    await page.getByText("The mask is not in use yet.").waitFor();
    found.push(...(await check(page, `${theme}-mask-asks`)));
    await page.getByRole("button", { name: "Throw it away" }).click();
    await nodeMenu(page, "Picture", "Crop the picture…");
    await page.locator(".crop-box").waitFor();
    await page.getByLabel("Sides").selectOption("1:1");
    found.push(...(await check(page, `${theme}-crop`)));
    await page.keyboard.press("Escape");
    await nodeMenu(page, "KSampler", "Sweep over values…");
    await page.getByLabel("Input in the rows").waitFor();
    found.push(...(await check(page, `${theme}-sweep`)));
    await page.keyboard.press("Escape");
    assert.deepEqual(found, [], found.join("\n"));
    assert.deepEqual(problems, []);
    await context.close();
  });
}
