import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";
import { dropFile, shoot } from "./server.mjs";

const { server, visit } = await journey();

const picture = (page) => page.locator(".stage .picture img");

/** Bytes of the picture on screen. */
const pixels = (page) =>
  picture(page).evaluate(async (img) => {
    await img.decode();
    const canvas = document.createElement("canvas");
    canvas.width = img.naturalWidth;
    canvas.height = img.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(img, 0, 0);
    return { width: img.naturalWidth, data: Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data) };
  });

test("first visit to picture in at most three clicks, and nothing that the policy refuses", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await shoot(page, "first-visit");
  await page.getByRole("button", { name: "Make the picture" }).click(); // the one click
  await picture(page).waitFor({ timeout: 60_000 });
  await shoot(page, "form-picture");
  assert.equal((await pixels(page)).width, 128);
  await picture(page).click();
  await page.getByRole("dialog").waitFor();
  await shoot(page, "lightbox");
  await page.keyboard.press("Escape");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a dropped picture opens its workflow and makes the same picture again", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).click();
  await picture(page).waitFor({ timeout: 60_000 });
  const first = await pixels(page);
  const name = readdirSync(join(server.folder, "output")).find((one) => one.endsWith(".png"));
  await dropFile(page, name, readFileSync(join(server.folder, "output", name)), "image/png");
  await page.locator(".tab").nth(1).waitFor();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), "a red apple");
  await page.getByRole("button", { name: "Make the picture" }).click();
  await picture(page).waitFor({ timeout: 60_000 });
  assert.deepEqual((await pixels(page)).data, first.data, "not the same pixels");
  assert.deepEqual(problems, []);
  await context.close();
});
