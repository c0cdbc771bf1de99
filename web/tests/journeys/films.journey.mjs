/** Films inside nodes: they play where they are seen, stand for who wants nothing to move, and are drawn from afar. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { film } from "./pictures.mjs";
import { dropFile, PYTHON, ROOT, shoot } from "./server.mjs";

// A node of a pack, as those that write films are: it names its files in its own way.
const PACK = `class ShowFile:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True
    CATEGORY = "film"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {"default": ""})}}

    def run(self, name):
        return {"ui": {"images" if name.endswith("webp") else "gifs": [{"filename": name, "subfolder": "", "type": "output"}]}, "result": ()}


NODE_CLASS_MAPPINGS = {"ShowFile": ShowFile}
`;
const TURNING = `import sys
from PIL import Image
frames = [Image.new("RGB", (256, 256), f"hsl({n * 36}, 80%, 50%)") for n in range(10)]
frames[0].save(sys.argv[1], save_all=True, append_images=frames[1:], duration=80, loop=0)
`;

const { server, visit } = await journey({
  prepare(folder) {
    mkdirSync(join(folder, "custom_nodes/films"), { recursive: true });
    writeFileSync(join(folder, "custom_nodes/films/__init__.py"), PACK);
    for (const name of ["models", "workflows"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    execFileSync(PYTHON, ["main.py", "packs", "trust", "films", "--base-directory", folder], { cwd: ROOT, stdio: "pipe" });
    execFileSync(PYTHON, ["-c", TURNING, join(folder, "output/turning.webp")], { stdio: "pipe" });
    writeFileSync(join(folder, "output/broken.mp4"), "this is no film");
  },
  args: (folder) => ["--base-directory", folder],
});

const show = (id, x, name) => ({ id, type: "ShowFile", pos: [x, 0], size: [280, 340], inputs: [], outputs: [], widgets_values: [name] });
const WORKFLOW = { version: 0.4, last_node_id: 3, last_link_id: 0, links: [], nodes: [show(1, 0, "film.webm"), show(2, 320, "turning.webp"), show(3, 640, "broken.mp4")] };

test("a film plays in its node while it is seen, and stands where nothing is to move", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Graph", exact: true }).waitFor();
  writeFileSync(join(server.folder, "output/film.webm"), Buffer.from(await film(page, 256)));
  await dropFile(page, "films.json", JSON.stringify(WORKFLOW), "application/json");
  await page.locator('.graph .node[data-node="3"]').waitFor();
  await page.keyboard.press("Control+Enter");
  const video = page.locator('.node[data-node="1"] video');
  await video.waitFor({ timeout: 30_000 });
  const state = () => page.evaluate(() => { const one = document.querySelector('.node[data-node="1"] video'); return one && { paused: one.paused, at: one.currentTime, side: one.videoWidth, muted: one.muted }; });
  const plays = (is) => page.waitForFunction((wanted) => document.querySelector('.node[data-node="1"] video')?.paused === !wanted, is, { timeout: 5000 });
  await plays(true);
  await page.waitForFunction(() => document.querySelector('.node[data-node="1"] video').currentTime > 0.15);
  assert.deepEqual({ ...(await state()), at: 0 }, { paused: false, at: 0, side: 256, muted: true });
  assert.equal(await page.locator(".node-film").count(), 0);
  await page.getByText("broken.mp4 cannot be played here").waitFor();
  const turning = page.locator('.node[data-node="2"] .node-picture img');
  assert.doesNotMatch(await turning.getAttribute("src"), /preview=/);
  await page.waitForTimeout(300);
  await shoot(page, "film-node");

  // Just out of view, where the node is kept for whoever comes back.
  const box = await video.boundingBox();
  const graph = await page.locator(".graph").boundingBox();
  await page.mouse.move(graph.x + 20, graph.y + graph.height - 20);
  await page.keyboard.down("Shift");
  await page.mouse.wheel(0, box.x + box.width - graph.x + 40);
  await page.keyboard.up("Shift");
  await plays(false);
  await page.keyboard.down("Shift");
  await page.mouse.wheel(0, -(box.x + box.width - graph.x + 40));
  await page.keyboard.up("Shift");
  await plays(true);

  await page.emulateMedia({ reducedMotion: "reduce" });
  await plays(false);
  assert.match(await turning.getAttribute("src"), /preview=webp/);
  await page.locator(".node-film").waitFor();
  await page.waitForTimeout(300);
  await shoot(page, "film-still");
  await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  await page.waitForTimeout(300);
  await shoot(page, "film-still-light");
  const { at } = await state();
  await page.waitForTimeout(400);
  assert.equal((await state()).at, at);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await plays(true);

  const zoom = async (key) => {
    await page.keyboard.press(key);
    await page.waitForTimeout(300);
  };
  // From afar nothing plays: the canvas has the beginning of the film.
  for (let n = 0; n < 8; n++) await zoom("Alt+-");
  await video.waitFor({ state: "detached" });
  await page.waitForTimeout(500);
  await shoot(page, "film-far");
  const colourful = await page.evaluate(() => {
    const canvas = document.querySelector(".graph-bottom");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let n = 0; n < data.length; n += 4) if (data[n + 3] > 0 && Math.max(data[n], data[n + 1], data[n + 2]) - Math.min(data[n], data[n + 1], data[n + 2]) > 120) found += 1;
    return found;
  });
  assert.ok(colourful > 600, `${colourful} points have the colours of the film and of the turning picture`);
  for (let n = 0; n < 8; n++) await zoom("Alt+=");
  await video.waitFor();
  await page.getByRole("button", { name: "Open film.webm" }).click();
  await page.locator(".pic-film").waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});
