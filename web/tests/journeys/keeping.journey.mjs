import assert from "node:assert/strict";
import { test } from "node:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { server, visit } = await journey();

const prompt = (page) => page.getByLabel("Prompt", { exact: true });
const picture = (page) => page.locator(".stage .picture img");

async function setSteps(page, steps) {
  const field = page.getByLabel("Steps", { exact: true });
  await field.fill(String(steps));
}

test("a run can be cancelled", async () => {
  const { page, context } = await visit();
  await prompt(page).fill("a house");
  await setSteps(page, 400);
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".statusbar").getByText(/Running/).waitFor({ timeout: 60_000 });
  await page.waitForTimeout(1200);
  await shoot(page, "running");
  await page.locator(".form").getByRole("button", { name: "Cancel" }).click();
  await page.locator(".statusbar").getByText("Cancelled").waitFor({ timeout: 20_000 });
  await context.close();
});

test("work survives a crash of the page, a killed server, and both", async () => {
  const { page, context } = await visit();
  await prompt(page).fill("a green heart");
  await page.waitForTimeout(1500);
  await page.reload();
  assert.equal(await prompt(page).inputValue(), "a green heart");

  await setSteps(page, 120);
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".statusbar").getByText(/Running/).waitFor({ timeout: 60_000 });
  await page.waitForTimeout(500);
  await server.kill();
  await page.locator(".statusbar").getByText(/The server is away/).waitFor();
  await shoot(page, "server-away");
  await prompt(page).fill("a green heart, edited while the server was away");
  await server.again();
  await page.locator(".statusbar").getByText("Connected").waitFor({ timeout: 30_000 });
  // The job is done again by the server, and the page hears of it without being loaded anew.
  await picture(page).waitFor({ timeout: 90_000 });
  assert.equal(await prompt(page).inputValue(), "a green heart, edited while the server was away");
  await shoot(page, "server-back");
  await context.close();
});

test("saved to the server, changed by autosave, opened again, listed and removed with undo", async () => {
  const { page, context, problems } = await visit();
  const file = join(server.folder, "user/default/workflows/mine/hearts.json");
  await prompt(page).fill("two hearts");
  await page.keyboard.press("Control+s");
  await page.getByRole("combobox", { name: /Name/ }).fill("mine/hearts");
  await page.keyboard.press("Enter");
  await page.locator(".statusbar").getByText("Saved", { exact: true }).waitFor();
  assert.match(readFileSync(file, "utf8"), /two hearts/);
  await prompt(page).fill("three hearts");
  await page.locator(".tab .dot").waitFor();
  await page.locator(".statusbar").getByText("Saved", { exact: true }).waitFor({ timeout: 10_000 });
  assert.match(readFileSync(file, "utf8"), /three hearts/);

  await page.getByRole("button", { name: "Close hearts" }).click();
  await page.locator(".rail").getByRole("button", { name: "Workflows" }).click();
  await page.getByRole("button", { name: "mine/hearts", exact: true }).click();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  assert.equal(await prompt(page).inputValue(), "three hearts");
  await shoot(page, "workflows");
  await page.getByRole("button", { name: "More for mine/hearts.json" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  assert.ok(!existsSync(file));
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("button", { name: "mine/hearts", exact: true }).waitFor();
  assert.ok(existsSync(file));
  assert.deepEqual(problems, []);
  await context.close();
});
