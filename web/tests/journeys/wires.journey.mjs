/** Wires in hand: a branch from a point of a link, from its middle and from a portal; two links that change places. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { dropFile, shoot } from "./server.mjs";

const { server, visit } = await journey();

const image = (name, link = null) => ({ name, type: "IMAGE", link });
const node = (id, type, x, y, inputs, outputs, widgets_values = []) => ({ id, type, pos: [x, y], size: [220, 120], inputs, outputs, widgets_values });
/** Two pictures; the first is inverted by way of two points, the second is shown. */
const WORKFLOW = {
  id: "8d1f5d4e-5c7e-4b69-9a39-5a5c3f9f4f10", revision: 0, version: 1, groups: [], extra: {}, config: {},
  state: { lastGroupId: 0, lastNodeId: 6, lastLinkId: 2, lastRerouteId: 2 },
  nodes: [
    node(1, "EmptyImage", 0, 0, [], [image("IMAGE")], [64, 64, 1, 0]),
    node(2, "EmptyImage", 0, 420, [], [image("IMAGE")], [32, 32, 1, 255]),
    node(3, "ImageInvert", 760, 0, [image("image", 1)], [image("IMAGE")]),
    node(4, "PreviewImage", 760, 420, [image("images", 2)], []),
    node(5, "PreviewImage", 760, 200, [image("images")], []),
    node(6, "ImageInvert", 1060, 420, [image("image")], [image("IMAGE")]),
  ],
  links: [
    { id: 1, origin_id: 1, origin_slot: 0, target_id: 3, target_slot: 0, type: "IMAGE", parentId: 2 },
    { id: 2, origin_id: 2, origin_slot: 0, target_id: 4, target_slot: 0, type: "IMAGE" },
  ],
  reroutes: [
    { id: 1, pos: [400, 140], linkIds: [1] },
    { id: 2, pos: [600, 60], parentId: 1, linkIds: [1] },
  ],
};

async function openGraph(theme = "dark") {
  const opened = await visit({ theme });
  const { page } = opened;
  await page.getByRole("button", { name: "Graph", exact: true }).waitFor();
  await dropFile(page, "wires.json", JSON.stringify(WORKFLOW), "application/json");
  await page.locator('.graph .node[data-node="6"]').waitFor();
  await page.waitForTimeout(600);
  const screen = (x, y) =>
    page.evaluate(([px, py]) => {
      const box = document.querySelector(".graph").getBoundingClientRect();
      const at = new DOMMatrix(getComputedStyle(document.querySelector(".graph-world")).transform).transformPoint(new DOMPoint(px, py));
      return { x: box.x + at.x, y: box.y + at.y };
    }, [x, y]);
  const port = async (id, name) => {
    const box = await page.locator(`.node[data-node="${id}"] [data-port="${name}"] .port-dot`).boundingBox();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const drag = async (from, to, { shift = "never", picture } = {}) => {
    await page.mouse.move(from.x, from.y);
    if (shift === "begin") await page.keyboard.down("Shift");
    await page.mouse.down();
    await page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: 4 });
    await page.mouse.move(to.x, to.y, { steps: 4 });
    if (shift === "end") await page.keyboard.down("Shift");
    if (picture) await shoot(page, picture);
    await page.mouse.up();
    await page.keyboard.up("Shift");
    await page.waitForTimeout(150);
  };
  return { ...opened, screen, port, drag };
}

/** Saves and gives what feeds each input, and the points of the file. */
async function saved(page, name) {
  const first = await page.locator(".statusbar").getByText("Kept in this browser").isVisible();
  await page.keyboard.press("Control+s");
  if (first) {
    await page.getByRole("combobox", { name: /^Name/ }).fill(name);
    await page.keyboard.press("Enter");
  }
  await page.locator(".statusbar").getByText("Saved", { exact: true }).waitFor({ timeout: 10_000 });
  const file = JSON.parse(readFileSync(join(server.folder, `user/default/workflows/${name}.json`), "utf8"));
  const feeds = Object.fromEntries(file.links.map((link) => [link.target_id, link.origin_id]));
  return { feeds, points: (file.reroutes ?? []).map(({ id, parentId, linkIds }) => ({ id, parentId, links: linkIds.length })), file };
}

test("a link branches from a point, from the middle of a wire and from the search; points move for all that share them", async () => {
  for (const theme of ["dark", "light"]) {
    const { page, context, problems, screen, port, drag } = await openGraph(theme);
    if (theme === "light") await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
    const dot = await screen(400, 140);
    await page.mouse.move(dot.x, dot.y);
    await page.waitForTimeout(150);
    await shoot(page, `branch-hover-${theme}`);
    const sprout = await screen(418, 140);
    await page.mouse.move(sprout.x, sprout.y);
    await page.waitForTimeout(150);
    await shoot(page, `branch-sprout-${theme}`);
    await drag(sprout, await port("5", "input0"), { picture: `branch-dragged-${theme}` });
    await page.mouse.move(dot.x, dot.y + 200);
    await page.waitForTimeout(150);
    await shoot(page, `branch-made-${theme}`);
    if (theme === "light") {
      assert.deepEqual(problems, []);
      await context.close();
      continue;
    }
    const once = await saved(page, "branched");
    assert.deepEqual(once.feeds, { 3: 1, 4: 2, 5: 1 });
    assert.deepEqual(once.points, [{ id: 1, parentId: undefined, links: 2 }, { id: 2, parentId: 1, links: 1 }]);
    // The point is dragged for both; Shift draws a link instead, here onto a node as a whole.
    await drag(dot, await screen(440, 300));
    const shared = await screen(440, 300);
    await drag(shared, await screen(1170, 500), { shift: "begin" });
    const twice = await saved(page, "branched");
    assert.deepEqual(twice.feeds, { 3: 1, 4: 2, 5: 1, 6: 1 });
    const moved = twice.file.reroutes.find((one) => one.id === 1);
    assert.deepEqual([moved.linkIds.length, moved.pos.map((number) => Math.abs(number - (moved.pos[0] === number ? 440 : 300)) < 3)], [3, [true, true]]);
    await shoot(page, "branch-shared");
    // From the middle of the second wire, let go over nothing: a node is chosen, and the wire parts in a new point.
    const middle = { x: ((await port("2", "output0")).x + (await port("4", "input0")).x) / 2, y: ((await port("2", "output0")).y + (await port("4", "input0")).y) / 2 };
    await drag(middle, await screen(620, 700));
    const search = page.getByRole("combobox", { name: "Add a node…" });
    await search.fill("ImageInvert");
    await page.keyboard.press("Enter");
    await page.waitForTimeout(300);
    await shoot(page, "branch-new-node");
    const third = await saved(page, "branched");
    assert.equal(third.feeds[7], 2);
    assert.deepEqual(third.points.filter((one) => one.links === 2), [{ id: 3, parentId: undefined, links: 2 }]);
    await page.locator(".graph").focus();
    await page.keyboard.press("Control+z");
    assert.deepEqual((await saved(page, "branched")).points, twice.points, "one step takes the node, the link and the point back");
    assert.deepEqual(problems, []);
    await context.close();
  }
});

test("a branch begins at a portal too, and from the menu of a link without a drag", async () => {
  const { page, context, problems, port, drag, screen } = await openGraph();
  const from = await port("2", "output0");
  const to = await port("4", "input0");
  await page.mouse.click((from.x + to.x) / 2, (from.y + to.y) / 2);
  await page.getByRole("menuitem", { name: "Show as a portal" }).click();
  await page.waitForTimeout(200);
  await drag({ x: to.x - 26, y: to.y }, await port("6", "input0"), { picture: "branch-portal-dragged" });
  await shoot(page, "branch-portal");
  const dot = await screen(600, 60);
  await page.mouse.click(dot.x, dot.y, { button: "right" });
  await shoot(page, "branch-menu");
  await page.getByRole("menuitem", { name: "New link from here…" }).click();
  await page.getByRole("option", { name: /PreviewImage|Preview/ }).last().waitFor();
  await shoot(page, "branch-list");
  await page.keyboard.type("preview");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(300);
  const { feeds, points, file } = await saved(page, "portals");
  assert.equal(feeds[6], 2);
  assert.equal(points.find((one) => one.id === 2).links, 2, JSON.stringify(file.reroutes));
  assert.deepEqual(problems, []);
  await context.close();
});

test("with Shift two links change places, or none does; over nothing Shift asks for a menu in place of the search", async () => {
  for (const theme of ["light", "dark"]) {
    const { page, context, problems, port, drag, screen } = await openGraph(theme);
    if (theme === "light") await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
    const inverted = await port("3", "input0");
    // Shift is pressed on the way: the preview shows where both links will lie.
    await page.mouse.move(inverted.x, inverted.y);
    await page.mouse.down();
    const shown = await port("4", "input0");
    await page.mouse.move(shown.x - 60, shown.y - 60, { steps: 5 });
    await page.keyboard.down("Shift");
    await page.mouse.move(shown.x, shown.y, { steps: 5 });
    await shoot(page, `swap-dragged-${theme}`);
    await page.mouse.up();
    await page.keyboard.up("Shift");
    await page.waitForTimeout(200);
    await page.mouse.move(shown.x, shown.y + 250);
    await shoot(page, `swap-done-${theme}`);
    const { feeds, points } = await saved(page, `swap-${theme}`);
    assert.deepEqual(feeds, { 3: 2, 4: 1 });
    assert.deepEqual(points.map((one) => one.links), [1, 1], "a link keeps its points");
    await page.locator(".graph").focus();
    await page.keyboard.press("Control+z");
    assert.deepEqual((await saved(page, `swap-${theme}`)).feeds, { 3: 1, 4: 2 });
    // 3 feeds 6, and would have to feed itself if the two changed places: both stay, and it is said why.
    await drag(await port("3", "output0"), await port("6", "input0"));
    await drag(await port("3", "input0"), await port("6", "input0"), { shift: "end" });
    await page.getByText("No swap: A node cannot feed itself").waitFor({ state: "attached" });
    assert.deepEqual((await saved(page, `swap-${theme}`)).feeds, { 3: 1, 4: 2, 6: 3 });
    await drag(await port("6", "output0"), await screen(1250, 300), { shift: "end" });
    await page.getByRole("menuitem", { name: "Preview Image" }).waitFor();
    await shoot(page, `drop-menu-${theme}`);
    await page.getByRole("menuitem", { name: "Preview Image" }).click();
    await page.waitForTimeout(200);
    assert.deepEqual((await saved(page, `swap-${theme}`)).feeds, { 3: 1, 4: 2, 6: 3, 7: 6 });
    assert.deepEqual(problems, []);
    await context.close();
  }
});
