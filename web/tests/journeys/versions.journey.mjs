import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { journey, serious } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { server, visit } = await journey();

async function saveAs(page, name) {
  await page.keyboard.press("Control+Shift+S");
  await page.getByRole("combobox", { name: /Name/ }).fill(name);
  await page.keyboard.press("Enter");
  await page.locator(".statusbar").getByText("Saved").waitFor();
}

test("a version is compared by node and value, brought back, and undone", async () => {
  const { page, context, problems } = await visit();
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
  await changes.getByRole("button", { name: "Prompt", exact: true }).click();
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
  const { page, context, problems } = await visit();
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

test("a single change of a version is taken into what is open, one step each", async () => {
  const { page, context, problems } = await visit();
  const prompt = page.getByLabel("Prompt", { exact: true });
  const steps = page.getByLabel("Steps", { exact: true });
  await prompt.waitFor();
  await saveAs(page, "plums");
  await prompt.fill("a blue plum");
  await steps.fill("9");
  await page.getByLabel("Seed", { exact: true }).fill("77");
  await prompt.click();
  await page.keyboard.press("Control+s");
  await page.getByText("Saved plums").waitFor();
  await page.locator(".rail").getByRole("button", { name: "History" }).click();
  await page.getByRole("button", { name: "Versions" }).click();
  const versions = page.getByRole("list", { name: "Versions" }).getByRole("listitem");
  await versions.nth(1).waitFor();
  await versions.last().getByRole("button").first().click();
  const compare = page.getByRole("dialog", { name: "Compare versions" });
  await compare.getByRole("button", { name: "Take this value: KSampler, steps" }).click();
  await compare.getByRole("button", { name: "Take this value: KSampler, steps" }).waitFor({ state: "detached" });
  await shoot(page, "versions-take");
  assert.deepEqual(await serious(page), []);
  await compare.getByRole("button", { name: "Close" }).click();
  assert.deepEqual([await steps.inputValue(), await prompt.inputValue()], ["20", "a blue plum"]);
  await page.locator("h2").first().click();
  await page.keyboard.press("Control+z");
  assert.equal(await steps.inputValue(), "9");
  assert.deepEqual(problems, []);
  await context.close();
});

for (const [name, seed, asks] of [["figs", { 0: 4321 }, false], ["limes", {}, true]]) {
  test(`both versions of a file that was changed elsewhere are merged${asks ? ", and what both changed is asked" : " without a question"}`, async () => {
    const { page, context, problems } = await visit();
    const prompt = page.getByLabel("Prompt", { exact: true });
    await prompt.waitFor();
    await page.getByLabel("Seed", { exact: true }).fill("7");
    await prompt.click();
    await saveAs(page, name);
    const path = join(server.folder, `user/default/workflows/${name}.json`);
    const file = JSON.parse(readFileSync(path, "utf8"));
    const sampler = file.nodes.find((node) => node.type === "KSampler");
    Object.assign(sampler.widgets_values, { 2: 11, ...seed });
    if (asks) file.nodes.find((node) => node.title === "Prompt").widgets_values[0] = "two limes";
    writeFileSync(path, JSON.stringify(file));
    await prompt.fill("a quince");
    await prompt.click();
    await page.keyboard.press("Control+s");
    await page.getByText(`${name} was changed elsewhere`).first().waitFor();
    await page.getByRole("button", { name: "Compare", exact: true }).first().click();
    const dialog = page.getByRole("dialog", { name: "Compare versions" });
    await dialog.getByText("a quince").first().waitFor();
    await dialog.getByRole("button", { name: "Merge both" }).click();
    if (asks) {
      const question = dialog.getByRole("group", { name: "Prompt · text" }).first();
      await question.getByText("two limes").waitFor();
      await shoot(page, "versions-merge");
      assert.deepEqual(await serious(page), []);
      await question.getByRole("button", { name: "The file’s" }).click();
      await dialog.getByRole("button", { name: "Merge both" }).click();
    }
    await page.getByText("Both are merged").waitFor();
    assert.equal(await prompt.inputValue(), asks ? "two limes" : "a quince");
    assert.equal(await page.getByLabel("Steps", { exact: true }).inputValue(), "11");
    assert.equal(await page.getByLabel("Seed", { exact: true }).inputValue(), asks ? "7" : "4321");
    assert.match(readFileSync(path, "utf8"), asks ? /two limes/ : /a quince/);
    await page.locator("h2").first().click();
    await page.keyboard.press("Control+z");
    assert.equal(await prompt.inputValue(), "a quince");
    assert.equal(await page.getByLabel("Steps", { exact: true }).inputValue(), "20");
    assert.deepEqual(problems, []);
    await context.close();
  });
}
