/** What a run would take of a card, said beside Run before it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { journey, serious } from "./journey.mjs";
import { dropFile, PYTHON, ROOT, shoot } from "./server.mjs";

const PACK = `class Polish:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "polish"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        return (image,)


NODE_CLASS_MAPPINGS = {"Polish": Polish}
`;
const { visit } = await journey({
  prepare(folder) {
    mkdirSync(join(folder, "custom_nodes/polish"), { recursive: true });
    writeFileSync(join(folder, "custom_nodes/polish/__init__.py"), PACK);
    for (const name of ["models", "workflows"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    execFileSync(PYTHON, ["main.py", "packs", "trust", "polish", "--base-directory", folder], { cwd: ROOT, stdio: "pipe" });
  },
  args: (folder) => ["--base-directory", folder],
});

test("what the planner says stands beside Run, node by node, in red where it does not fit; nothing is asked while typing", async () => {
  const { page, context, problems } = await visit();
  const asked = [];
  page.on("request", (request) => request.url().endsWith("/plan") && asked.push(Date.now()));
  const chip = page.locator(".estimate");
  await chip.getByText(/GB of 8 GB/).waitFor({ timeout: 60_000 });
  await shoot(page, "memory-form");
  const before = asked.length;
  await page.getByLabel("Prompt", { exact: true }).pressSequentially(" on a table, with a long tail", { delay: 40 });
  assert.equal(asked.length, before, "asked while somebody was typing");
  await page.waitForTimeout(1600);
  assert.equal(asked.length, before + 1);

  // What is changed while a run goes on is planned after it.
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".statusbar").getByText(/Running/).waitFor();
  await page.getByLabel("Steps", { exact: true }).fill("21");
  await page.locator("h2").first().click();
  await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });
  await page.waitForTimeout(2000);
  assert.equal(asked.length, before + 2);

  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await page.locator(".graph").waitFor();
  await chip.getByText(/GB of 8 GB/).waitFor({ timeout: 60_000 });
  await chip.click();
  const sheet = page.getByRole("dialog", { name: "Memory of a run" });
  const rows = sheet.getByRole("list", { name: "Node by node" }).getByRole("listitem");
  await rows.nth(3).waitFor();
  const told = await rows.allInnerTexts();
  assert.ok(told.some((text) => /KSampler[\s\S]*MB|GB/.test(text)), told.join("\n"));
  assert.match(await sheet.innerText(), /fits in 8 GB[\s\S]*Smallest card/);
  await shoot(page, "memory-sheet");
  assert.deepEqual(await serious(page), []);

  await sheet.getByRole("button", { name: /card to plan for/ }).click();
  await page.getByRole("option", { name: "4 GB", exact: true }).click();
  await chip.getByText(/GB of 4 GB/).waitFor({ timeout: 60_000 });
  await page.keyboard.press("Escape");
  assert.equal(await sheet.count(), 0);

  await page.getByRole("button", { name: "Form", exact: true }).click();
  for (const side of ["Width", "Height"]) await page.getByLabel(side, { exact: true }).fill("4096");
  await page.locator("h2").first().click();
  await page.locator(".estimate.wrong").waitFor({ timeout: 60_000 });
  await page.locator(".estimate.wrong").click();
  assert.match(await sheet.innerText(), /card of 4 GB is too small[\s\S]*It would fit with/);
  await page.waitForTimeout(300);
  await shoot(page, "memory-too-small");
  assert.deepEqual(await serious(page), []);
  assert.deepEqual(problems, []);
  await context.close();
});

test("the status bar tells what memory is taken now, and lets go of what is kept", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).click();
  await page.locator(".stage .picture img").waitFor({ timeout: 60_000 });
  const button = page.locator(".statusbar").getByRole("button", { name: "Memory" });
  await button.click();
  const gauges = page.getByRole("dialog", { name: "Memory now" });
  await gauges.getByText("RAM of the machine").waitFor();
  await gauges.getByText("Weights in RAM").waitFor();
  assert.match(await gauges.innerText(), /[\d.]+ GB of [\d.]+ GB[\s\S]*safelight-emoji-128[\s\S]*Results kept in RAM[\s\S]*Results kept on disk[\s\S]*Held by what computes/);
  const gauge = (name) => gauges.locator(".gauge", { hasText: name }).locator(".number");
  const kept = await gauge("Results kept in RAM").innerText();
  await page.waitForTimeout(300);
  await shoot(page, "memory-gauges");
  assert.deepEqual(await serious(page), []);
  await gauges.getByRole("button", { name: "Let go of what is kept" }).click();
  await page.getByText("are let go of").waitFor();
  await page.waitForFunction((before) => [...document.querySelectorAll(".gauge")].some((one) => one.innerText.includes("Results kept in RAM") && one.innerText.includes("0 ") && !one.innerText.includes(before)), kept, { timeout: 10_000 });
  await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  await page.waitForTimeout(300);
  await shoot(page, "memory-gauges-light");
  await page.keyboard.press("Escape");
  assert.equal(await gauges.count(), 0);
  assert.deepEqual(problems, []);
  await context.close();
});

test("nodes of packs run for an estimate where somebody says so, and not before", async () => {
  const { page, context, problems } = await visit();
  const prompt = JSON.parse(readFileSync(join(ROOT, "workflows/text_to_image_api.json"), "utf8"));
  const [, saved] = Object.entries(prompt).find(([, node]) => node.class_type === "SaveImage");
  prompt.polish = { class_type: "Polish", inputs: { image: saved.inputs.images } };
  saved.inputs.images = ["polish", 0];
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await dropFile(page, "polished.json", JSON.stringify(prompt), "application/json");
  await page.locator(".tab").nth(1).waitFor();
  const chip = page.locator(".estimate");
  await chip.getByText(/nodes of packs would have to run/).waitFor({ state: "attached", timeout: 60_000 });
  await chip.click();
  const sheet = page.getByRole("dialog", { name: "Memory of a run" });
  const anyway = sheet.getByRole("button", { name: "Run them, without models, for an estimate" });
  await anyway.waitFor();
  await page.waitForTimeout(300);
  await shoot(page, "memory-packs");
  assert.deepEqual(await serious(page), []);
  await anyway.click();
  await chip.getByText(/GB of \d GB/).waitFor({ timeout: 60_000 });
  assert.equal(await anyway.count(), 0);
  assert.deepEqual(problems, []);
  await context.close();
});
