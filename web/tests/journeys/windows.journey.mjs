import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";

const { server, visit } = await journey();

const prompt = (page) => page.getByRole("textbox", { name: "Prompt", exact: true });
const holds = (page, text) => page.waitForFunction((wanted) => document.querySelector("textarea.tall")?.value === wanted, text, { timeout: 10_000 });
const saved = (page) => page.locator(".statusbar").getByText("Saved", { exact: true }).waitFor({ timeout: 10_000 });

const SLOW_MS = 1500;

test("two windows stay in step, and neither writes over the other", async () => {
  const { page, context, problems } = await visit();
  const file = join(server.folder, "user/default/workflows/shared.json");
  await prompt(page).fill("one");
  await page.keyboard.press("Control+s");
  await page.getByRole("combobox", { name: /Name/ }).fill("shared");
  await page.keyboard.press("Enter");
  await saved(page);

  const second = await context.newPage();
  await second.goto(server.url);
  await holds(second, "a red apple");
  assert.equal(await second.locator(".tab").count(), 1, "what is open in the first window is not open here too");
  await second.locator(".rail").getByRole("button", { name: "Workflows" }).click();
  await second.getByRole("button", { name: "shared", exact: true }).click();
  await second.locator(".graph .node").first().waitFor(); // until it is open, Form is that of the other tab
  await second.getByRole("button", { name: "Form", exact: true }).click();
  await holds(second, "one");

  await prompt(page).fill("two");
  await holds(second, "two");

  // Both change it: the one that saves first wins, also when its line is slow, the other is told and keeps its own.
  await second.route("**/userdata/**", async (route) => {
    if (route.request().method() === "POST") await new Promise((done) => setTimeout(done, SLOW_MS));
    await route.continue();
  });
  await prompt(second).fill("from the second");
  await prompt(page).fill("from the first");
  const told = (window) => window.getByText(/was changed elsewhere/).first().waitFor({ timeout: 20_000 });
  await Promise.any([told(page), told(second)]);
  await second.waitForTimeout(SLOW_MS + 500); // what was on its way has come
  const texts = [await prompt(page).inputValue(), await prompt(second).inputValue()];
  assert.deepEqual(texts.toSorted(), ["from the first", "from the second"]);
  assert.match(readFileSync(file, "utf8"), /from the (first|second)/);
  assert.deepEqual(problems, []);

  // A window that is closed leaves what was open to the next one.
  await second.close();
  const third = await context.newPage();
  await third.goto(server.url);
  await third.locator(".tab").nth(1).waitFor();
  await context.close();
});
