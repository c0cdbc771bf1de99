import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
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

const newest = (folder) => readdirSync(folder).filter((name) => name.endsWith(".png")).map((name) => ({ name, at: statSync(join(folder, name)).mtimeMs })).sort((a, b) => b.at - a.at)[0]?.name;

/** Take the mask of the picture's own node instead of that of another file. */
function ownMask(text) {
  const file = JSON.parse(text);
  const link = file.links.find((one) => one[5] === "MASK" && file.nodes.find((node) => node.id === one[1]).type === "LoadImageMask");
  const loader = file.nodes.find((node) => node.type === "LoadImage");
  file.nodes = file.nodes.filter((node) => node.id !== link[1]);
  Object.assign(link, { 1: loader.id, 2: 1 });
  loader.outputs = [loader.outputs[0], { name: "MASK", type: "MASK", links: [link[0]] }];
  return JSON.stringify(file);
}

for (const [title, change, who] of [["Picture", ownMask, "the node that loads the picture"], ["Mask", (text) => text, "a node for masks"]]) {
  test(`inpaint with a mask painted by mouse, for ${who}: what is not masked stays exactly`, async () => {
    const { page, context, problems } = await openPage(browser, server.url);
    await page.getByRole("button", { name: "Make the picture" }).waitFor();
    await openWorkflow(page, "inpaint_region", change);
    await nodeMenu(page, title, "Paint a mask…");
    await page.locator("dialog.painter canvas").waitFor();
    if (title === "Mask") await page.keyboard.press("Delete"); // what it had
    const { x, y, width, height } = await page.locator(".pic-stage.paint canvas").boundingBox();
    const at = (u, v) => [x + u * width, y + v * height];
    await page.mouse.move(...at(0.6, 0.2));
    await page.mouse.down();
    for (const [u, v] of [[0.75, 0.2], [0.75, 0.3], [0.6, 0.3], [0.6, 0.25], [0.72, 0.25]]) await page.mouse.move(...at(u, v), { steps: 10 });
    await page.mouse.up();
    // A stroke too many, and taken back.
    await page.mouse.move(...at(0.1, 0.9));
    await page.mouse.down();
    await page.mouse.move(...at(0.3, 0.9), { steps: 5 });
    await page.mouse.up();
    await page.keyboard.press("Control+z");
    await shoot(page, `inpaint-${title.toLowerCase()}-painted`);
    await page.getByRole("button", { name: "Use this mask" }).click();
    await page.locator("dialog").waitFor({ state: "detached" });
    const stored = newest(join(server.folder, "input/clipspace"));
    const before = await pixels(page, new URLSearchParams({ filename: "landscape.png", type: "input", channel: "rgb" }).toString());
    const mask = await pixels(page, new URLSearchParams({ filename: stored, subfolder: "clipspace", type: "input", channel: "a" }).toString());
    const masked = (index) => mask.data[index * 4 + 3] < 255;
    const count = Array.from({ length: mask.width * mask.height }, (_, index) => masked(index)).filter(Boolean).length;
    assert.ok(count > 2000 && count < 20_000, `${count} pixels are masked`);
    assert.ok(!masked(Math.round(0.9 * 256) * 256 + Math.round(0.2 * 256)), "the stroke that was taken back is in the mask");
    await page.keyboard.press("Control+Enter");
    await page.waitForTimeout(300);
    await settled();
    const name = newest(join(server.folder, "output"));
    assert.match(name, /^inpaint_region/);
    const after = await pixels(page, new URLSearchParams({ filename: name }).toString());
    let changed = 0;
    for (let index = 0; index < mask.width * mask.height; index++) {
      const differs = [0, 1, 2].some((channel) => before.data[index * 4 + channel] !== after.data[index * 4 + channel]);
      if (differs && !masked(index)) assert.fail(`the pixel ${index % 256}, ${Math.floor(index / 256)} is not masked, yet another one`);
      changed += Number(differs);
    }
    assert.ok(changed > count / 3, `only ${changed} of ${count} masked pixels changed`);
    await page.waitForTimeout(400);
    await shoot(page, `inpaint-${title.toLowerCase()}-done`);
    // Undo gives back the picture without the mask; opening the editor again shows the mask as it was painted.
    await nodeMenu(page, title, "Paint a mask…");
    await page.locator("dialog.painter canvas").waitFor();
    await page.waitForTimeout(200);
    const seen = await page.locator(".pic-stage.paint canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, index) => index % 4 === 3 && value > 0).length;
    });
    assert.ok(Math.abs(seen - count) < count / 20, `${seen} pixels are shown as masked, ${count} are`);
    await page.keyboard.press("Escape");
    assert.deepEqual(problems, []);
    await context.close();
  });
}

test("a mask by keyboard alone, with layers, fills and inversion", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await openWorkflow(page, "inpaint_hole");
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+f");
  await page.getByRole("combobox", { name: "Find in the graph" }).fill("Picture with a hole");
  await page.keyboard.press("Enter");
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+Alt+m");
  const stage = page.getByRole("application", { name: /Mask/ });
  await stage.focus();
  const filled = () => page.locator(".pic-stage.paint canvas").evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter((value, index) => index % 4 === 3 && value > 0).length);
  const all = 128 * 128;
  await page.keyboard.press("Delete");
  assert.equal(await filled(), 0);
  await page.keyboard.press("Enter");
  const dab = await filled();
  assert.ok(dab > 100 && dab < 400, `${dab}`);
  for (const key of ["]", "]", "ArrowRight", "ArrowRight", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  assert.ok((await filled()) > dab * 1.5);
  await page.keyboard.press("Control+i");
  assert.ok((await filled()) > all * 0.9);
  for (let step = 0; step < 3; step++) await page.keyboard.press("Control+z");
  assert.equal(await filled(), 0);
  for (let step = 0; step < 3; step++) await page.keyboard.press("Control+y");
  assert.ok((await filled()) > all * 0.9);
  await page.keyboard.press("Delete");
  await page.getByRole("button", { name: "Add a layer" }).click();
  await stage.focus();
  await page.keyboard.press("g");
  await page.keyboard.press("Enter");
  assert.ok((await filled()) > 1000, "a fill covers the area of one colour");
  await page.getByRole("checkbox", { name: "Show Layer 2" }).uncheck();
  assert.equal(await filled(), 0);
  await page.getByRole("checkbox", { name: "Show Layer 2" }).check();
  await page.keyboard.press("Control+Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
  await context.close();
});

test("touch: one finger paints, two move the picture; a pen presses", async () => {
  const { page, context, problems } = await openPage(browser, server.url, { hasTouch: true });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await openWorkflow(page, "inpaint_region", ownMask);
  await nodeMenu(page, "Picture", "Paint a mask…");
  await page.locator("dialog.painter canvas").waitFor();
  const counts = await page.locator(".pic-stage.paint").evaluate(async (stage) => {
    const canvas = stage.querySelector("canvas");
    const box = canvas.getBoundingClientRect();
    const count = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter((value, index) => index % 4 === 3 && value > 0).length;
    stage.setPointerCapture = () => undefined; // made-up pointers cannot be captured
    const send = (kind, id, u, v, more) =>
      stage.dispatchEvent(new PointerEvent(`pointer${kind}`, { pointerId: id, bubbles: true, button: 0, buttons: kind === "up" ? 0 : 1, clientX: box.left + u * box.width, clientY: box.top + v * box.height, pointerType: "touch", ...more }));
    const found = [];
    send("down", 1, 0.5, 0.5);
    send("move", 1, 0.6, 0.5);
    send("up", 1, 0.6, 0.5);
    found.push(count());
    // The second finger takes back what the first began.
    send("down", 2, 0.2, 0.2);
    send("move", 2, 0.3, 0.2);
    send("down", 3, 0.4, 0.4);
    send("move", 3, 0.5, 0.6);
    send("up", 2, 0.3, 0.2);
    send("up", 3, 0.5, 0.6);
    await new Promise((done) => setTimeout(done, 100));
    found.push(count());
    const scale = canvas.getBoundingClientRect().width / box.width;
    for (const pressure of [0.2, 1]) {
      const before = count();
      send("down", 5, pressure === 1 ? 0.9 : 0.1, 0.9, { pointerType: "pen", pressure });
      send("up", 5, 0.1, 0.9, { pointerType: "pen", pressure: 0 });
      found.push(count() - before);
    }
    return { found, scale };
  });
  const [stroke, afterPinch, light, firm] = counts.found;
  assert.ok(stroke > 1000, `${stroke}`);
  assert.equal(afterPinch, stroke);
  assert.notEqual(counts.scale, 1);
  assert.ok(light > 0 && firm > light * 4, `${light}, ${firm}`);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a crop becomes the node's picture, pixel for pixel", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await openWorkflow(page, "inpaint_region");
  await nodeMenu(page, "Picture", "Crop the picture…");
  const box = await page.locator(".crop-box").boundingBox();
  await page.mouse.move(box.x + box.width, box.y + box.height);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2 + 3, { steps: 5 });
  await page.mouse.up();
  await page.locator("dialog").getByLabel("Left").fill("40");
  assert.equal(await page.locator("dialog").getByLabel("Width").inputValue(), "128");
  await page.locator(".crop-box").focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.locator("dialog").getByLabel("Top").inputValue(), "8");
  await shoot(page, "crop");
  await page.getByRole("button", { name: "Use this part" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  const whole = await pixels(page, new URLSearchParams({ filename: "landscape.png", type: "input" }).toString());
  const part = await pixels(page, new URLSearchParams({ filename: "landscape_crop.png", type: "input" }).toString());
  assert.deepEqual([part.width, part.height], [128, 128]);
  for (const [px, py] of [[0, 0], [127, 127], [64, 30]]) {
    const from = ((py + 8) * 256 + px + 40) * 4;
    assert.deepEqual(part.data.slice((py * 128 + px) * 4, (py * 128 + px) * 4 + 3), whole.data.slice(from, from + 3));
  }
  await page.locator('.node[aria-label="Picture"] img[alt="landscape_crop.png"]').waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("gallery: search, filters, multi-select by keyboard, trash and back", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await openGallery(page);
  const count = page.locator(".gallery-bar [role=status]");
  const shown = async (text) => assert.match(await count.innerText(), text);
  await page.getByLabel("Search by prompt, model or seed").fill("APPLE");
  await page.waitForFunction(() => document.querySelectorAll(".gallery-grid .tile").length === 2);
  await shown(/^2 pictures/);
  await page.getByLabel("Search by prompt, model or seed").fill("13");
  await page.waitForFunction(() => document.querySelector(".gallery-grid .tile")?.getAttribute("aria-label")?.includes("blue fish"));
  await page.getByLabel("Search by prompt, model or seed").fill("no such thing");
  await page.getByText("No picture is like that.").waitFor();
  await page.getByLabel("Search by prompt, model or seed").fill("");
  await page.locator(".tile img").first().waitFor();
  await page.getByRole("combobox", { name: "Workflow", exact: true }).selectOption("From the API");
  await page.waitForFunction(() => document.querySelectorAll(".gallery-grid .tile").length === 4);
  await page.getByLabel("When").selectOption("today");
  await page.waitForTimeout(200);
  await shown(/^4 pictures/);
  await page.getByRole("listbox").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("Shift+ArrowRight");
  await shown(/^2 chosen/);
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => document.querySelectorAll(".gallery-grid .tile").length === 2);
  await page.getByRole("button", { name: "Bring back 2" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".gallery-grid .tile").length === 4);
  // Enter shows one, arrows go on, Escape leads back to where the keyboard was.
  await page.getByRole("listbox").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  const first = await page.getByRole("dialog").getAttribute("aria-label");
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await page.getByRole("dialog").getAttribute("aria-label"), first);
  const before = await page.locator(".pic-percent").innerText();
  await page.keyboard.press("+");
  assert.notEqual(await page.locator(".pic-percent").innerText(), before);
  await page.keyboard.press("1");
  assert.equal(await page.locator(".pic-percent").innerText(), "100 %");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("role")), "listbox");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a picture dragged from the gallery: on a node its input, on the graph its workflow", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await openWorkflow(page, "image_to_image");
  await openGallery(page);
  const load = page.locator(".node").filter({ has: page.locator(".image-input") });
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+f");
  await page.getByRole("combobox", { name: "Find in the graph" }).fill("LoadImage");
  await page.keyboard.press("Enter");
  await load.waitFor();
  await page.waitForTimeout(400);
  await page.locator(".gallery-grid .tile").nth(1).dragTo(load, { targetPosition: { x: 80, y: 12 } });
  await load.locator('img[alt^="text_to_image"]').waitFor();
  await page.keyboard.press("Control+z");
  const tabs = await page.locator(".tab").count();
  const box = await page.locator(".graph").boundingBox();
  await page.locator(".gallery-grid .tile").nth(1).dragTo(page.locator(".graph"), { targetPosition: { x: box.width - 420, y: box.height - 40 } });
  await page.locator(".tab").nth(tabs).waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("compare: what differs stands in the table, either is restored", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await openGallery(page);
  await page.getByLabel("Search by prompt, model or seed").fill("text_to_image red");
  await page.waitForFunction(() => document.querySelectorAll(".gallery-grid .tile").length === 2);
  for (const at of [0, 1]) await page.locator(".gallery-grid .tile").nth(at).click({ modifiers: ["Control"] });
  await page.getByRole("button", { name: "Compare" }).click();
  const rows = page.locator(".pic-table tbody tr");
  await rows.first().waitFor();
  assert.deepEqual((await rows.allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " ")), ["KSampler · seed 11 14"]);
  await page.getByText(/% of the pixels differ/).waitFor();
  const place = page.getByRole("slider", { name: "Place of the slider" });
  await place.fill("20");
  const left = async () => (await page.locator(".pic-divider").boundingBox()).x;
  const early = await left();
  await page.mouse.move(early + 14, 300);
  await page.mouse.down();
  await page.mouse.move(early + 214, 300, { steps: 4 });
  await page.mouse.up();
  assert.ok(Math.abs((await left()) - early - 200) < 12, "the divider follows the hand");
  await page.getByRole("button", { name: "Restore A" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Form", exact: true }).click();
  assert.equal(await page.getByLabel("Seed", { exact: true }).inputValue(), "11");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a sweep over two inputs fills a labelled sheet, which is saved as a picture", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await nodeMenu(page, "KSampler", "Sweep over values…");
  await page.getByLabel("Input in the columns").selectOption({ label: "KSampler · steps" });
  const numbers = page.getByLabel("Numbers, ranges like 4..8 by 0.5");
  await numbers.fill("2..6 by x");
  await page.getByText("Not possible here: 2..6 by x").waitFor();
  assert.ok(await page.getByRole("button", { name: "Run them" }).isDisabled());
  await numbers.fill("2..6 by 2");
  await page.getByLabel("Input in the rows").selectOption({ label: "KSampler · sampler_name" });
  for (const name of ["euler", "dpmpp_2m"]) await page.getByRole("checkbox", { name, exact: true }).check();
  await page.getByText("6 runs").waitFor();
  await shoot(page, "sweep");
  await page.getByRole("button", { name: "Run them" }).click();
  await page.locator(".sheet-table").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".sheet-cell img").length === 6, undefined, { timeout: 60_000 });
  assert.deepEqual(await page.locator(".sheet-table thead tr:nth-child(2) th").allInnerTexts(), ["2", "4", "6"]);
  assert.deepEqual(await page.locator(".sheet-table tbody th").allInnerTexts(), ["euler", "dpmpp_2m"]);
  const found = await check(page, "sheet");
  assert.deepEqual(found, []);
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save as PNG" }).click();
  const download = await coming;
  assert.match(download.suggestedFilename(), /_sheet\.png$/);
  const data = readFileSync(await download.path());
  assert.ok(data.readUInt32BE(16) > 3 * 128 && data.readUInt32BE(20) > 2 * 128, "the sheet is large enough for its pictures");
  if (process.env.SAFELIGHT_SCREENSHOTS) writeFileSync(join(process.env.SAFELIGHT_SCREENSHOTS, "sheet-exported.png"), data);
  // Each picture is what its place says.
  await page.getByRole("button", { name: "4, dpmpp_2m" }).click();
  await page.locator("dialog.viewer .facts dt").first().waitFor();
  const facts = (await page.locator(".facts").innerText()).replaceAll(/\s+/g, " ");
  assert.match(facts, /Steps 4 .*Sampler dpmpp_2m/);
  await page.keyboard.press("Escape");
  await page.locator(".sheet-table").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
  await context.close();
});

test("thousands of pictures: scrolling from end to end without a freeze", async () => {
  const folder = join(server.folder, "output", "many");
  mkdirSync(folder);
  const data = readFileSync(join(server.folder, "output", "text_to_image_00002_.png"));
  for (let number = 0; number < 4000; number++) writeFileSync(join(folder, `many_${String(number).padStart(5, "0")}_.png`), data);
  const { page, context, problems } = await openPage(browser, server.url);
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const began = Date.now();
  await page.keyboard.press("Shift+G");
  await page.locator("dialog .tile img").first().waitFor();
  const opened = Date.now() - began;
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((one) => (window.longest = Math.max(window.longest, one.duration)))).observe({ type: "longtask" });
  });
  const most = await page.evaluate(async () => {
    const box = document.querySelector("dialog .gallery-grid");
    let most = 0;
    for (let part = 0; part <= 40; part++) {
      box.scrollTop = (box.scrollHeight * part) / 40;
      await new Promise((done) => setTimeout(done, 30));
      most = Math.max(most, box.querySelectorAll(".tile").length);
    }
    return most;
  });
  await page.locator("dialog .tile[aria-posinset='4000'] img").waitFor();
  const longest = await page.evaluate(() => window.longest);
  console.log(`gallery of 4,000: opened in ${opened} ms, at most ${most} tiles at once, longest task while scrolling ${Math.round(longest)} ms`);
  assert.ok(most < 150, `${most} tiles at once`);
  assert.ok(longest < 150, `a task of ${longest} ms`);
  await page.keyboard.press("Escape");
  assert.deepEqual(problems, []);
  await context.close();
});

test("German, on a phone", async () => {
  const { page, context, problems } = await openPage(browser, server.url, { locale: "de-DE", viewport: { width: 390, height: 800 }, hasTouch: true });
  await page.getByRole("button", { name: "Bild machen" }).waitFor();
  await page.locator(".rail").getByRole("button", { name: "Bilder" }).click();
  await page.locator(".tile img").first().waitFor();
  await page.getByRole("combobox", { name: "Workflow", exact: true }).selectOption("From the API");
  await page.waitForTimeout(300);
  await shoot(page, "phone-gallery");
  await page.locator(".tile").first().click();
  await page.locator("dialog.viewer .facts dt").first().waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0);
  assert.ok(await page.locator("dialog").getByRole("button", { name: "Als Eingabe nehmen" }).isVisible());
  assert.ok(await page.locator("dialog").getByRole("button", { name: "Schließen" }).isVisible());
  await shoot(page, "phone-viewer");
  assert.deepEqual(problems, []);
  await context.close();
});
