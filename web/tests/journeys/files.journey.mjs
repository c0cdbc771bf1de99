/** Files of the server: chosen with their pictures, and films that play. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { journey, serious } from "./journey.mjs";
import { film } from "./pictures.mjs";
import { dropFile, ROOT, shoot } from "./server.mjs";

const { server, browser, visit } = await journey({
  prepare: (folder) => {
    mkdirSync(join(folder, "input/mine/deep"), { recursive: true });
    copyFileSync(join(ROOT, "input/red_circle.png"), join(folder, "input/mine/deep/a disc.png"));
    copyFileSync(join(ROOT, "input/red_circle.png"), join(folder, "output/made before.png"));
  },
});

test("an input's file is chosen from the server's folders, searched for, brought in, and runs", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await dropFile(page, "image_to_image.json", readFileSync(join(ROOT, "workflows/image_to_image.json")), "application/json");
  await page.locator(".tab").nth(1).waitFor();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  const choose = page.getByRole("button", { name: "Choose…" });
  const chosen = page.locator("[data-kind=picture] .select");
  const dialog = page.getByRole("dialog", { name: "Choose a file" });
  const tile = (name) => dialog.getByRole("group", { name: "Files" }).getByRole("button", { name, exact: true });

  await choose.click();
  await tile("mine").waitFor();
  await page.waitForTimeout(400);
  await shoot(page, "picker");
  assert.deepEqual(await serious(page), []);
  await tile("mine").click();
  await tile("deep").click();
  await tile("a disc.png").click();
  assert.match((await chosen.textContent()) ?? "", /mine\/deep\/a disc\.png/);

  await choose.click(); // begins where the chosen one lies
  assert.equal(await tile("a disc.png").getAttribute("aria-pressed"), "true");
  await dialog.getByRole("button", { name: "Results" }).click();
  await tile("made before.png").click();
  assert.match((await chosen.textContent()) ?? "", /made before\.png \[output\]/);
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });

  await choose.click();
  await dialog.getByRole("button", { name: "Inputs" }).click();
  await dialog.getByRole("searchbox").fill("deep disc");
  await tile("mine/deep/a disc.png").waitFor();
  await page.keyboard.press("Escape"); // empties the field
  if ((await dialog.count()) > 0) await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.match((await chosen.textContent()) ?? "", /made before\.png \[output\]/, "leaving changed the value");

  await choose.click();
  await dialog.getByRole("button", { name: "Inputs" }).click();
  await dialog.locator("input[type=file]").setInputFiles({ name: "brought.png", mimeType: "image/png", buffer: readFileSync(join(ROOT, "input/red_circle.png")) });
  await dialog.waitFor({ state: "detached" });
  assert.match((await chosen.textContent()) ?? "", /brought\.png/);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a film among the results has a tile in the gallery and plays in the viewer", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  writeFileSync(join(server.folder, "output/film.webm"), Buffer.from(await film(page)));
  await page.keyboard.press("Shift+G");
  const tile = page.getByRole("option", { name: /film\.webm/ });
  await tile.locator("video").waitFor();
  await page.waitForFunction(() => document.querySelector(".tile video")?.readyState >= 2);
  await shoot(page, "gallery-film");
  await tile.click();
  const shown = page.locator(".pic-film");
  await shown.waitFor();
  await page.waitForFunction(() => {
    const video = document.querySelector(".pic-film");
    return video.videoWidth === 64 && video.currentTime > 0.1;
  });
  await shoot(page, "viewer-film");
  assert.deepEqual(await serious(page), []);
  assert.deepEqual(problems, []);
  await context.close();
});
