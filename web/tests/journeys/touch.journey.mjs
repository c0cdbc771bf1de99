/** The graph under fingers on a tablet: links, taps, the menu, the view. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { visit } = await journey();

async function openTablet() {
  const opened = await visit({ viewport: { width: 1180, height: 820 }, hasTouch: true, isMobile: true });
  const { page, context } = opened;
  await page.getByRole("button", { name: "Graph", exact: true }).tap();
  await page.locator(".graph .node").first().waitFor();
  await page.waitForTimeout(500);
  const cdp = await context.newCDPSession(page);
  const send = (type, points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map((point, id) => ({ id, ...point })) });
  const finger = {
    async tap(at) {
      await send("touchStart", [at]);
      await send("touchEnd", []);
      await page.waitForTimeout(150);
    },
    async drag(from, to, before = () => undefined) {
      await send("touchStart", [from]);
      for (let step = 1; step <= 8; step++) {
        await send("touchMove", [{ x: from.x + ((to.x - from.x) * step) / 8, y: from.y + ((to.y - from.y) * step) / 8 }]);
        await page.waitForTimeout(20);
      }
      await before();
      await send("touchEnd", []);
      await page.waitForTimeout(200);
    },
    send,
  };
  return { ...opened, finger };
}
const node = (page, title) => page.locator(".graph .node", { has: page.locator(".node-name", { hasText: title }) }).first();
async function port(page, title, name) {
  const box = await node(page, title).getByRole("button", { name }).locator(".port-dot").boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
const states = (page, title, name) => node(page, title).getByRole("button", { name }).evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
const place = async (page, title) => (await node(page, title).boundingBox()).x;

test("a finger that presses beside a port drags a link, and the node stays where it is", async () => {
  const { page, context, problems, finger } = await openTablet();
  const stood = await place(page, "KSampler");
  const source = await port(page, "KSampler", /Output LATENT/);
  const taken = await port(page, "Decode", /Input samples/);
  const linked = async () => /linked/.test((await states(page, "Decode", /Input samples/))[0]);
  // Taken off: from the linked input to nowhere.
  const takeOff = () => finger.drag({ x: taken.x - 9, y: taken.y - 4 }, { x: taken.x - 40, y: taken.y + 260 });
  await takeOff();
  assert.equal(await linked(), false);
  // From the name of the port, and let go somewhere on the node that takes it.
  const decode = await node(page, "Decode").boundingBox();
  await finger.drag({ x: source.x - 14, y: source.y + 8 }, { x: decode.x + decode.width / 2, y: decode.y + decode.height - 6 }, () => shoot(page, "touch-link"));
  assert.equal(await linked(), true);
  assert.equal(await place(page, "KSampler"), stood);
  await takeOff();
  // And made again with two taps, both beside what they mean.
  await finger.tap({ x: source.x + 12, y: source.y - 8 });
  await shoot(page, "touch-armed");
  await finger.tap({ x: taken.x - 10, y: taken.y + 4 });
  assert.equal(await linked(), true);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a tap on a port and one on nothing offer what fits; Escape forgets the first", async () => {
  const { page, context, problems, finger } = await openTablet();
  const source = await port(page, "KSampler", /Output LATENT/);
  await finger.tap(source);
  await page.keyboard.press("Escape");
  await finger.tap({ x: 600, y: 720 });
  assert.equal(await page.getByRole("combobox", { name: "Add a node…" }).count(), 0);
  await finger.tap(source);
  await finger.tap({ x: 600, y: 720 });
  await page.getByText("Fits LATENT").waitFor();
  await page.keyboard.press("Escape");
  // A tap on a linked input and one on nothing takes nothing away.
  await finger.tap(await port(page, "Decode", /Input samples/));
  await finger.tap({ x: 600, y: 720 });
  assert.match((await states(page, "Decode", /Input samples/))[0], /linked/);
  assert.deepEqual(problems, []);
  await context.close();
});

test("one finger moves the view, two zoom it and the one that stays goes on; a long press opens the menu", async () => {
  const { page, context, problems, finger } = await openTablet();
  const stood = await place(page, "KSampler");
  await finger.drag({ x: 600, y: 720 }, { x: 540, y: 720 });
  assert.ok(Math.abs((await place(page, "KSampler")) - stood + 60) <= 11, "panned");
  const wide = (await node(page, "KSampler").boundingBox()).width;
  const pair = (half) => [{ x: 600 - half, y: 400 }, { x: 600 + half, y: 400 }];
  await finger.send("touchStart", pair(60));
  for (const half of [70, 80, 90, 100, 110, 120]) await finger.send("touchMove", pair(half));
  await page.waitForTimeout(100);
  const grown = (await node(page, "KSampler").boundingBox()).width / wide;
  assert.ok(grown > 1.7 && grown < 2.3, `zoomed by ${grown}`);
  const held = await place(page, "KSampler");
  await finger.send("touchEnd", [{ ...pair(120)[1], id: 1 }]);
  await finger.send("touchMove", [{ x: 430, y: 400 }]);
  await page.waitForTimeout(100);
  assert.equal(Math.round((await place(page, "KSampler")) - held), -50, "the finger that stayed moves the view");
  await finger.send("touchEnd", []);
  const title = await node(page, "KSampler").locator(".node-name").boundingBox();
  await finger.send("touchStart", [{ x: title.x + 30, y: title.y + 8 }]);
  await page.getByRole("menuitem", { name: "Bypass" }).waitFor();
  await shoot(page, "touch-menu");
  await finger.send("touchEnd", []);
  await page.waitForTimeout(200);
  assert.equal(await page.getByRole("menuitem", { name: "Bypass" }).count(), 1, "the menu stays when the finger is lifted");
  assert.deepEqual(problems, []);
  await context.close();
});

test("a number under a finger is pulled slowly without the menu; held, it has the menu of its node", async () => {
  const { page, context, problems, finger } = await openTablet();
  const steps = node(page, "KSampler").getByRole("spinbutton", { name: "steps" });
  const box = await steps.boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  await finger.send("touchStart", [at]);
  for (let step = 1; step <= 5; step++) {
    await finger.send("touchMove", [{ x: at.x + step * 8, y: at.y }]);
    await page.waitForTimeout(160);
  }
  assert.equal(await page.getByRole("menuitem").count(), 0);
  await finger.send("touchEnd", []);
  assert.equal(await steps.inputValue(), "30");
  await finger.send("touchStart", [at]);
  await page.getByRole("menuitem", { name: "Bypass" }).waitFor();
  await finger.send("touchEnd", []);
  assert.deepEqual(problems, []);
  await context.close();
});
