import assert from "node:assert/strict";
import { test } from "node:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { check, journey } from "./journey.mjs";
import { nodeMenu, openWorkflow, pixels, settled } from "./pictures.mjs";
import { shoot } from "./server.mjs";

const { server, visit } = await journey();

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
    const { page, context, problems } = await visit();
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
    await settled(server);
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
  const { page, context, problems } = await visit();
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
  const { page, context, problems } = await visit({ hasTouch: true });
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
  const { page, context, problems } = await visit();
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
