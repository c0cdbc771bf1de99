/** Take the pictures of the README: `node scripts/pictures.mjs FOLDER`, with the editor built. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dropFile, openPage, startBrowser, startServer } from "../tests/journeys/server.mjs";

const folder = process.argv[2] ?? "../docs/pictures";
const PROMPTS = ["a red apple", "a green heart", "a yellow star", "a blue house", "a rocket", "a cat", "a tree", "a snowman", "a cup of coffee", "a fish", "a flower", "the sun"];
mkdirSync(folder, { recursive: true });
const server = await startServer();
const browser = await startBrowser();
const shoot = (page, name) => page.screenshot({ path: join(folder, `${name}.jpg`), type: "jpeg", quality: 88 });

const COLOURS = ["#5c2b2e", "#5a4526", "#2c4a33", "#2a4058", "#46345c"];

/** A thousand nodes in rows: what a large graph looks like from afar. */
function large() {
  const nodes = [];
  const links = [];
  for (let at = 0; at < 1000; at++) {
    const column = at % 40;
    const row = Math.floor(at / 40);
    const link = column > 0 ? links.length + 1 : null;
    if (link !== null) links.push([link, at, 0, at + 1, 0, "IMAGE"]);
    nodes.push({
      id: at + 1, type: "ImageScaleBy", pos: [column * 300, row * 200], size: [240, 120], flags: {}, order: at, mode: 0,
      inputs: [{ name: "image", type: "IMAGE", link }], outputs: [{ name: "IMAGE", type: "IMAGE", links: column < 39 ? [links.length + 1] : [] }],
      properties: {}, widgets_values: ["bilinear", 1.5], color: COLOURS[Math.floor(column / 8 + row / 6) % COLOURS.length],
    });
  }
  return { last_node_id: 1000, last_link_id: links.length, nodes, links, groups: [], config: {}, extra: {}, version: 0.4 };
}

try {
  const { page } = await openPage(browser, server.url);
  const prompt = page.getByLabel("Prompt", { exact: true });
  for (const text of PROMPTS) {
    await prompt.fill(text);
    await page.getByRole("button", { name: "Make the picture" }).click();
    await page.locator(".statusbar").getByText(/Running/).waitFor();
    await page.locator(".statusbar").getByText(/Done/).waitFor({ timeout: 60_000 });
  }
  await page.waitForTimeout(400);
  await shoot(page, "form");
  await page.locator(".rail").getByRole("button", { name: "Pictures" }).click();
  await page.locator(".pictures img").nth(PROMPTS.length - 1).waitFor();
  await page.waitForTimeout(600);
  await shoot(page, "gallery");
  await page.locator(".rail").getByRole("button", { name: "Pictures" }).click();
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await page.locator(".graph").waitFor();
  await page.waitForTimeout(800);
  await shoot(page, "graph-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForTimeout(400);
  await shoot(page, "graph-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await dropFile(page, "large.json", JSON.stringify(large()), "application/json");
  await page.locator(".tab").nth(1).waitFor();
  await page.waitForTimeout(1500);
  await shoot(page, "large");
} finally {
  await browser.close();
  await server.stop();
}
