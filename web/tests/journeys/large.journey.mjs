import assert from "node:assert/strict";
import { test } from "node:test";
import { synthetic } from "../../../benchmarks/editor_graph.mjs";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

/** Longer than this the page may not be away once a graph is open, ms. */
const LONGEST = 200;
const { visit } = await journey();

/** Drops a graph of `count` nodes on the page, as a file from the desktop. */
function dropGraph(page, count, name) {
  return page.evaluate(
    ({ text, name }) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name, { type: "application/json" }));
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    { text: JSON.stringify(synthetic(count)), name },
  );
}

/** The longest task of the page while `work` is done; the best of three, as another program's turn is no fault of the page. */
async function longest(page, work) {
  let best = Infinity;
  for (let n = 0; n < 3 && best > LONGEST; n++) {
    await page.evaluate(() => {
      window.tasks = [];
      window.watcher = new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => Math.round(one.duration))));
      window.watcher.observe({ type: "longtask" });
    });
    await work();
    await page.waitForTimeout(300);
    best = Math.min(best, await page.evaluate(() => (window.watcher.disconnect(), Math.max(0, ...window.tasks))));
  }
  return best;
}

test("a graph of 4,000 nodes is moved, edited and undone without a pause", async () => {
  const { page, context, problems } = await visit({ viewport: { width: 1600, height: 900 } });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  await dropGraph(page, 4000, "large.json");
  await page.locator(".statusbar").getByText(/4,?000 nodes/).waitFor();
  await page.waitForTimeout(2500);
  await shoot(page, "large-fit");
  const times = {};
  await page.mouse.move(800, 450);
  times.pan = await longest(page, async () => {
    for (let n = 0; n < 40; n++) await page.mouse.wheel(n < 20 ? 30 : -30, 1);
  });
  await page.keyboard.down("Control");
  for (let n = 0; n < 12; n++) await page.mouse.wheel(0, -28);
  await page.keyboard.up("Control");
  await page.locator('.node .widget[data-input="steps"] input').first().waitFor();
  await page.waitForTimeout(600);
  const id = await page.evaluate(() => {
    const far = ({ x, y, width }) => Math.hypot(x + width / 2 - 800, y - 400);
    const found = [...document.querySelectorAll(".node")].filter((one) => one.querySelector('.widget[data-input="steps"] input'));
    return found.sort((a, b) => far(a.getBoundingClientRect()) - far(b.getBoundingClientRect()))[0].dataset.node;
  });
  const node = page.locator(`.node[data-node="${id}"]`);
  const steps = node.locator('.widget[data-input="steps"] input');
  times["pan near"] = await longest(page, async () => {
    for (let n = 0; n < 40; n++) await page.mouse.wheel(n < 20 ? 30 : -30, 1);
  });
  times.select = await longest(page, async () => {
    await page.keyboard.press("Control+a");
    await page.waitForTimeout(200);
    await node.locator(".node-name").click();
    await page.locator(`.node[data-node="${id}"][data-selected]`).waitFor();
  });
  const edits = [];
  times.edit = await longest(page, async () => {
    const value = String(21 + edits.length);
    edits.push(value);
    await steps.fill(value);
    await steps.press("Enter");
    assert.equal(await steps.inputValue(), value);
    await page.locator(".graph").focus();
  });
  await shoot(page, "large-edited");
  times.undo = await longest(page, async () => {
    await page.keyboard.press("Control+z");
  });
  const undone = await steps.inputValue();
  assert.ok(undone === "20" || edits.slice(0, -1).includes(undone), undone);
  console.log(`longest tasks, ms: ${JSON.stringify(times)}`);
  for (const [what, time] of Object.entries(times)) assert.ok(time <= LONGEST, `${what}: the page was away for ${time} ms`);
  assert.deepEqual(problems, []);
  await context.close();
});

test("a large file that is being opened can be left, and nothing of what was open is lost", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const bar = page.getByRole("progressbar", { name: /Opening/ });
  const tabs = () => page.locator(".tabs .tab").count();
  const open = await tabs();
  assert.ok(open > 0);
  await page.evaluate(() => {
    window.seen = 0;
    new MutationObserver(() => (window.seen += document.querySelectorAll('[role="progressbar"][aria-label^="Opening"]').length)).observe(document.body, { childList: true, subtree: true });
  });
  for (const leave of [() => page.keyboard.press("Escape"), () => page.getByRole("status").getByRole("button", { name: "Cancel" }).click()]) {
    await dropGraph(page, 50_000, "huge.json");
    await bar.waitFor();
    await shoot(page, "large-opening");
    await leave();
    await bar.waitFor({ state: "detached" });
    await page.waitForTimeout(500);
    assert.equal(await tabs(), open);
    await page.getByRole("button", { name: "Make the picture" }).waitFor();
  }
  const seen = await page.evaluate(() => window.seen);
  await dropGraph(page, 50, "small.json");
  await page.locator(".statusbar").getByText(/50 nodes/).waitFor();
  assert.equal(await page.evaluate(() => window.seen), seen, "a small file opens without a bar");
  assert.deepEqual(problems, []);
  await context.close();
});
