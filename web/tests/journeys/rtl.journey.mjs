/** Text that runs from right to left: titles, prompts, notes, groups and portals, near and far. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { dropFile, shoot } from "./server.mjs";

const { visit } = await journey();

const WORKFLOW = {
  version: 0.4,
  nodes: [
    { id: 1, type: "CLIPTextEncode", title: "הנחיה (ראשית)!", pos: [0, 40], size: [400, 200], inputs: [{ name: "clip", type: "CLIP", link: 1 }], outputs: [{ name: "CONDITIONING", type: "CONDITIONING", links: [] }], widgets_values: ["תפוח אדום, (על שולחן:1.2)!"] },
    { id: 2, type: "CLIPTextEncode", title: "وصف سلبي", pos: [0, 320], size: [400, 200], inputs: [{ name: "clip", type: "CLIP", link: null }], outputs: [{ name: "CONDITIONING", type: "CONDITIONING", links: [] }], widgets_values: ["ضبابي، منخفض الجودة"] },
    { id: 3, type: "Note", title: "Note", pos: [460, 40], size: [300, 160], inputs: [], outputs: [], widgets_values: ["שלום! This note begins in Hebrew."] },
    { id: 4, type: "CLIPLoader", title: "Text encoder", pos: [-420, 40], size: [300, 140], inputs: [], outputs: [{ name: "CLIP", type: "CLIP", links: [1] }], widgets_values: [] },
  ],
  links: [[1, 4, 0, 1, 0, "CLIP"]],
  groups: [{ id: 1, title: "مجموعة (٢)", bounding: [-40, -60, 480, 640] }],
  extra: { safelight_links: { 1: { portal: "מקודד" } } },
};

test("the user's text runs as its first letter says, on the page and on the canvas", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await dropFile(page, "rtl.json", JSON.stringify(WORKFLOW), "application/json");
  await page.locator('.node[data-node="3"]').waitFor();
  await page.waitForTimeout(600);
  const direction = (selector) => page.locator(selector).first().evaluate((one) => getComputedStyle(one).direction);
  const ways = [];
  for (const id of [1, 2, 3, 4]) ways.push(await direction(`.node[data-node="${id}"] .node-name`));
  assert.deepEqual(ways, ["rtl", "rtl", "ltr", "ltr"]);
  for (const id of [1, 2, 3]) assert.equal(await direction(`.node[data-node="${id}"] textarea`), "rtl");
  await shoot(page, "rtl-near");
  await page.locator('.node[data-node="1"] .node-name').dblclick();
  assert.equal(await direction('.node[data-node="1"] input.node-name'), "rtl");
  await page.keyboard.press("Escape");
  // Far out the canvas draws the titles: at the right end of the bar where they run leftwards, at the left of others.
  await page.mouse.move(700, 800);
  for (let n = 0; n < 3; n++) await page.mouse.wheel(0, 240);
  await page.waitForTimeout(500);
  await shoot(page, "rtl-far");
  // Nodes far out are not in the page: their place follows from the world's transform.
  const ink = ([x, y, width], part) =>
    page.evaluate(
      ([left, top, wide, from, to]) => {
        const canvas = document.querySelector(".graph-bottom");
        const whole = canvas.getBoundingClientRect(); // larger than what is seen of it
        const ratio = canvas.width / whole.width;
        const world = document.querySelector(".graph-world");
        const origin = world.getBoundingClientRect();
        const zoom = Number(world.style.transform.match(/-?[\d.]+/)[0]);
        const at = (gx, gy) => [(origin.left + gx * zoom - whole.left) * ratio, (origin.top + gy * zoom - whole.top) * ratio];
        const [sx, sy] = at(left + wide * from, top + 4);
        const [ex, ey] = at(left + wide * to, top + 26);
        const data = canvas.getContext("2d").getImageData(sx, sy, ex - sx, Math.max(2, ey - sy)).data;
        let bright = 0;
        for (let n = 0; n < data.length; n += 4) if (data[n] > 120 && data[n + 1] > 120 && data[n + 2] > 120) bright += 1;
        return bright;
      },
      [x, y, width, ...part],
    );
  assert.ok(await page.locator(".graph-world.far").count(), "far out");
  const [left, right] = [[0.04, 0.3], [0.75, 0.96]];
  const [hebrew, english] = [[0, 10, 400], [-420, 10, 300]];
  assert.deepEqual([(await ink(hebrew, right)) > 4, await ink(hebrew, left)], [true, 0], "the Hebrew title stands at the right");
  assert.deepEqual([(await ink(english, left)) > 4, await ink(english, right)], [true, 0], "the English one at the left");
  await page.locator(".rail").getByRole("button", { name: "Outline" }).click();
  await page.locator(".panel summary").first().waitFor();
  await shoot(page, "rtl-outline");
  assert.deepEqual(problems, []);
  await context.close();
});
