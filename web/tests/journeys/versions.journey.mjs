import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { openPage, shoot, startBrowser, startServer } from "./server.mjs";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function saveAs(page, name) {
  await page.keyboard.press("Control+Shift+S");
  await page.getByRole("combobox", { name: /Name/ }).fill(name);
  await page.keyboard.press("Enter");
  await page.locator(".statusbar").getByText("Saved").waitFor();
}

async function serious(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.filter((one) => /serious|critical/.test(one.impact)).map((one) => `${one.id}: ${one.nodes[0].target}`);
}

test("a version is compared by node and value, brought back, and undone", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  const prompt = page.getByLabel("Prompt", { exact: true });
  await prompt.waitFor();
  await saveAs(page, "apples");
  await prompt.fill("a green apple");
  await page.getByLabel("Steps", { exact: true }).fill("12");
  await prompt.click();
  await page.keyboard.press("Control+s");
  await page.getByText("Saved apples").waitFor();

  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.getByRole("button", { name: "Versions" }).click();
  const versions = page.getByRole("list", { name: "Versions" }).getByRole("listitem");
  await versions.nth(1).waitFor();
  await shoot(page, "versions-panel");
  await versions.last().getByRole("button").first().click();
  const compare = page.getByRole("dialog", { name: "Compare versions" });
  await compare.getByText("a green apple").first().waitFor();
  const changes = compare.getByRole("region", { name: "What is different" });
  assert.match(await changes.innerText(), /Changed\s+2[\s\S]*Prompt[\s\S]*a red apple[\s\S]*a green apple/);
  assert.match(await changes.innerText(), /steps\s+20\s+12/);
  await changes.getByRole("button", { name: "Prompt" }).click();
  await page.waitForTimeout(500);
  await shoot(page, "versions-compare");
  assert.deepEqual(await serious(page), []);
  await compare.getByRole("button", { name: /Restore/ }).click();
  await page.getByText("The version is back").waitFor();
  assert.equal(await prompt.inputValue(), "a red apple");
  const stored = () => readFileSync(join(server.folder, "user/default/workflows/apples.json"), "utf8");
  assert.match(stored(), /a red apple/);
  await page.locator("h2").first().click();
  await page.keyboard.press("Control+z");
  assert.equal(await prompt.inputValue(), "a green apple");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a file that somebody else wrote is not written over: both are shown, and one is chosen", async () => {
  const { page, context, problems } = await openPage(browser, server.url);
  const prompt = page.getByLabel("Prompt", { exact: true });
  await prompt.waitFor();
  await saveAs(page, "pears");
  const path = join(server.folder, "user/default/workflows/pears.json");
  writeFileSync(path, readFileSync(path, "utf8").replace("a red apple", "two pears"));
  await prompt.fill("a quince");
  await prompt.click();
  await page.keyboard.press("Control+s");
  await page.getByText("pears was changed elsewhere").first().waitFor();
  await page.getByRole("button", { name: "Compare", exact: true }).first().click();
  const dialog = page.getByRole("dialog", { name: "Compare versions" });
  await dialog.getByText("two pears").first().waitFor();
  await dialog.getByText("a quince").first().waitFor();
  await shoot(page, "versions-elsewhere");
  await dialog.getByRole("button", { name: "Take the file’s" }).click();
  await page.getByText("The version is back").waitFor();
  assert.equal(await prompt.inputValue(), "two pears");
  assert.deepEqual(problems, []);
  await context.close();
});
