import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { dropFile, openPage, shoot, startBrowser, startServer } from "./server.mjs";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

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

test("first load: at most 400 kB and 25 requests, usable within a second of the answer", async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  let requests = 0;
  const seen = [];
  session.on("Network.requestWillBeSent", ({ request }) => {
    requests += 1;
    seen.push(request.url);
  });
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  const began = Date.now();
  await page.goto(server.url, { waitUntil: "commit" });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const ready = Date.now() - began;
  await page.waitForTimeout(1500);
  const times = [ready];
  // Others may be busy on the machine: the best of three says what the page takes.
  for (let again = 0; again < 2; again++) {
    const fresh = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const other = await fresh.newPage();
    const from = Date.now();
    await other.goto(server.url, { waitUntil: "commit" });
    await other.getByRole("button", { name: "Make the picture" }).waitFor();
    times.push(Date.now() - from);
    await fresh.close();
  }
  console.log(`first load: ${Math.round(bytes / 1000)} kB, ${requests} requests, usable after ${times.join(", ")} ms`);
  assert.ok(Math.min(...times) <= 1000, `usable after ${times.join(", ")} ms`);
  assert.ok(bytes <= 400_000, `${bytes} bytes`);
  assert.equal(seen.length, new Set(seen).size, `asked for twice:\n${seen.join("\n")}`);
  assert.ok(requests <= 25, `${requests} requests:\n${seen.join("\n")}`);
  await context.close();
});

test("first visit to picture in at most three clicks, and nothing that the policy refuses", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
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
  const { page, context, problems } = await openPage(browser, server.url);
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
