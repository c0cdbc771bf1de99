import assert from "node:assert/strict";
import { test } from "node:test";
import { check, journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { server, visit } = await journey();

const PANELS = ["Nodes", "Workflows", "Models", "Queue", "Pictures", "Outline", "History", "Settings"];

for (const theme of ["dark", "light"]) {
  test(`no serious finding on any screen, ${theme}`, async () => {
    const { page, context, problems } = await visit({ storageState: { cookies: [], origins: [{ origin: server.url, localStorage: [{ name: "theme", value: theme }] }] } });
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
    const found = [];
    await page.getByRole("button", { name: "Make the picture" }).waitFor();
    found.push(...(await check(page, `${theme}-form-empty`)));
    await page.getByRole("button", { name: "Make the picture" }).click();
    await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });
    found.push(...(await check(page, `${theme}-form`)));
    await page.getByRole("button", { name: "Graph", exact: true }).click();
    await page.locator(".graph").waitFor();
    found.push(...(await check(page, `${theme}-graph`)));
    for (const name of PANELS) {
      await page.locator(".rail").getByRole("button", { name }).click();
      await page.locator(".panel h2").getByText(name).waitFor();
      if (name === "Outline") await page.locator(".outline summary").nth(1).click();
      found.push(...(await check(page, `${theme}-panel-${name.toLowerCase()}`)));
    }
    await page.locator(".panel").getByRole("button", { name: "Close" }).first().click();
    await page.getByRole("button", { name: "More ways to run" }).click();
    found.push(...(await check(page, `${theme}-run-menu`)));
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "All commands" }).waitFor();
    found.push(...(await check(page, `${theme}-palette`)));
    await page.keyboard.press("Escape");
    await page.keyboard.press("Shift+A");
    await page.getByRole("combobox", { name: /Add a node/ }).fill("sampler");
    const first = page.locator(".finder [role=option]").first();
    assert.match((await first.textContent()) ?? "", /^KSampler/);
    found.push(...(await check(page, `${theme}-search`)));
    await page.keyboard.press("Escape");
    assert.deepEqual(found, [], found.join("\n"));
    assert.deepEqual(problems, []);
    await context.close();
  });
}

test("phone width and 200 % zoom: everything can still be reached", async () => {
  for (const [name, viewport] of [["phone", { width: 390, height: 800 }], ["zoomed", { width: 720, height: 450 }]]) {
    const { page, context } = await visit({ viewport });
    const run = page.getByRole("button", { name: "Make the picture" });
    await run.scrollIntoViewIfNeeded();
    assert.ok(await run.isVisible());
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name}: ${wide} px too wide`);
    await shoot(page, name);
    await context.close();
  }
});

test("German", async () => {
  const { page, context } = await visit({ locale: "de-DE" });
  await page.getByRole("button", { name: "Bild machen" }).waitFor();
  await shoot(page, "german");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
  await context.close();
});
