/** Take the pictures of the README: `node scripts/pictures.mjs FOLDER`, with the editor built. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dropFile, openPage, ROOT, startBrowser, startServer } from "../tests/journeys/server.mjs";

const folder = process.argv[2] ?? "../docs/pictures";
const PROMPTS = ["a red apple", "a green heart", "a yellow star", "a lemon", "a rocket", "a cat", "a tree", "a snowman", "a cup of coffee", "a mushroom", "a fish", "a red car", "the sun", "a banana", "a penguin", "a pumpkin", "a carrot", "a moon", "a fox", "a strawberry", "a sailing boat"];
mkdirSync(folder, { recursive: true });
const server = await startServer();
const browser = await startBrowser();
const shoot = (page, name) => page.screenshot({ path: join(folder, `${name}.jpg`), type: "jpeg", quality: 88 });

const COLOURS = ["#5c2b2e", "#5a4526", "#2c4a33", "#2a4058", "#46345c"];
/** A chain as people build them, from a loader to a picture: type, title, outputs, inputs fed by the ones before. */
const CHAIN = [
  ["CheckpointLoaderSimple", "Model", ["MODEL", "CLIP", "VAE"], [], 110],
  ["CLIPTextEncode", "Prompt", ["CONDITIONING"], [["clip", "CLIP", 0, 1]], 190],
  ["CLIPTextEncode", "Negative", ["CONDITIONING"], [["clip", "CLIP", 0, 1]], 120],
  ["EmptyLatentImage", "Size", ["LATENT"], [], 140],
  ["KSampler", "Sampler", ["LATENT"], [["model", "MODEL", 0, 0], ["positive", "CONDITIONING", 1, 0], ["negative", "CONDITIONING", 2, 0], ["latent_image", "LATENT", 3, 0]], 300],
  ["VAEDecode", "Decode", ["IMAGE"], [["samples", "LATENT", 4, 0], ["vae", "VAE", 0, 2]], 80],
  ["ImageScaleBy", "Enlarge", ["IMAGE"], [["image", "IMAGE", 5, 0]], 110],
  ["SaveImage", "Save", [], [["images", "IMAGE", 6, 0]], 110],
];
/** Where each node of a chain stands in its group. */
const PLACES = [[0, 60], [330, 0], [330, 230], [330, 390], [660, 60], [990, 0], [990, 130], [990, 290]];
const CHAINS = 125;
const COLUMNS = 11;

/** A thousand nodes: 125 pictures being made, in groups, as a large graph looks from afar. */
function large() {
  const nodes = [];
  const links = [];
  const groups = [];
  for (let chain = 0; chain < CHAINS; chain++) {
    const left = (chain % COLUMNS) * 1380;
    const top = Math.floor(chain / COLUMNS) * 780;
    const first = nodes.length;
    for (const [at, [type, title, outputs, inputs, height]] of CHAIN.entries()) {
      const id = first + at + 1;
      nodes.push({
        id, type, title, pos: [left + PLACES[at][0], top + PLACES[at][1]], size: [270, height], flags: {}, order: id, mode: 0, properties: {},
        inputs: inputs.map(([name, kind, from, slot], to) => {
          links.push([links.length + 1, first + from + 1, slot, id, to, kind]);
          return { name, type: kind, link: links.length };
        }),
        outputs: outputs.map((kind) => ({ name: kind, type: kind, links: [] })),
        ...(type === "KSampler" ? { color: COLOURS[chain % COLOURS.length] } : {}),
      });
    }
    groups.push({ title: `Picture ${chain + 1}`, bounding: [left - 30, top - 170, 1320, 720], color: COLOURS[chain % COLOURS.length] });
  }
  for (const [id, from, slot] of links) nodes[from - 1].outputs[slot].links.push(id);
  return { last_node_id: nodes.length, last_link_id: links.length, nodes, links, groups, config: {}, extra: {}, version: 0.4 };
}

/** The theme is the user's, not the system's. */
async function theme(page, name) {
  await page.locator(".rail").getByRole("button", { name: "Settings" }).click();
  await page.getByRole("group", { name: "Theme" }).getByRole("button", { name, exact: true }).click();
  await page.locator(".rail").getByRole("button", { name: "Settings" }).click();
  await page.mouse.move(700, 860);
  await page.waitForTimeout(500);
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
  await page.locator(".estimate").getByText(/GB/).waitFor({ timeout: 60_000 });
  await page.mouse.move(1000, 60);
  await page.waitForTimeout(400);
  await shoot(page, "form");
  await page.keyboard.press("Shift+G");
  await page.locator(".gallery-grid .tile img").nth(PROMPTS.length - 1).waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.waitForTimeout(800);
  await shoot(page, "gallery");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await page.locator(".graph").waitFor();
  await page.locator(".estimate").getByText(/GB/).waitFor({ timeout: 60_000 });
  await page.waitForTimeout(800);
  await shoot(page, "graph-dark");
  await theme(page, "Light");
  await shoot(page, "graph-light");
  await theme(page, "Dark");
  await dropFile(page, "image_to_image.json", readFileSync(join(ROOT, "workflows/image_to_image.json")), "application/json");
  await page.locator(".tab").nth(1).waitFor();
  await page.getByRole("button", { name: "Form", exact: true }).click();
  await page.getByRole("button", { name: "Choose…" }).click();
  const files = page.getByRole("dialog", { name: "Choose a file" });
  await files.getByRole("button", { name: "Results" }).click();
  await files.locator(".filetile img").nth(PROMPTS.length - 1).waitFor();
  await page.mouse.move(20, 700);
  await page.waitForTimeout(600);
  await shoot(page, "files");
  await files.getByRole("button", { name: "Close" }).click();
  await dropFile(page, "large.json", JSON.stringify(large()), "application/json");
  await page.locator(".tab").nth(2).waitFor();
  await page.waitForTimeout(1500);
  await shoot(page, "large");
} finally {
  await browser.close();
  await server.stop();
}
