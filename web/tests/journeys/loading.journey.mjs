/** Every load of the page, the first one after the server's start too, in a browser that runs already. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { cpus, loadavg } from "node:os";
import { startBrowser, startServer } from "./server.mjs";

const MOST_MS = 1000;
/** What the page's own thread and the server may take of the processor until the form is there, however busy the machine is. */
const MOST_PAGE_MS = 250;
const MOST_SERVER_MS = 250;
const MOST_BYTES = 400_000;
const MOST_REQUESTS = 25;

const browser = await startBrowser();
let server;
after(async () => {
  await browser.close();
  await server?.stop();
});

/** A blank window of a fresh profile. */
async function blank(more) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...more });
  const page = await context.newPage();
  await page.goto("about:blank");
  return page;
}

/** A new window has lists below its address bar to draw before it comes to rest. */
async function rest() {
  const session = await browser.newBrowserCDPSession();
  const used = async () => (await session.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, one) => sum + one.cpuTime, 0);
  for (let before = -1, now = await used(); now - before > 0.02; before = now, now = await used()) await new Promise((done) => setTimeout(done, 300));
  await session.detach();
}

/** Open the page and say in milliseconds how long it takes until the form is there, and what of the processor that took. */
async function load(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const before = server.busy();
  const began = performance.now();
  await page.goto(server.url, { waitUntil: "commit" });
  await page.locator(".form .button.run").waitFor();
  const taken = performance.now() - began;
  const { metrics } = await session.send("Performance.getMetrics");
  await session.detach();
  return { taken, page: metrics.find((one) => one.name === "TaskDuration").value * 1000, server: server.busy() - before };
}

test("every load is usable within a second: the first after the start, of newcomers, in German, with work that was kept", async () => {
  const pages = { "after the start": await blank(), newcomer: await blank(), "another newcomer": await blank(), German: await blank({ locale: "de-DE" }) };
  await rest();
  server = await startServer();
  const loads = {};
  for (const [name, page] of Object.entries(pages)) loads[name] = await load(page);
  const kept = pages.newcomer;
  await kept.getByLabel("Prompt", { exact: true }).fill("a work that was kept");
  await kept.waitForTimeout(1500);
  loads["with work"] = await load(kept);
  assert.equal(await kept.getByLabel("Prompt", { exact: true }).inputValue(), "a work that was kept");
  const said = Object.entries(loads).map(([name, one]) => `${name} ${one.taken.toFixed()} (page ${one.page.toFixed()}, server ${one.server})`).join(", ");
  console.log(`usable after ms: ${said}`);
  const all = Object.values(loads);
  for (const one of all) assert.ok(one.page <= MOST_PAGE_MS && one.server <= MOST_SERVER_MS, said);
  // Where others are busy on the machine, the clock is held for half of the loads.
  const slowest = all.map((one) => one.taken).toSorted((a, b) => a - b).at(loadavg()[0] > cpus().length ? all.length >> 1 : -1);
  assert.ok(slowest <= MOST_MS, said);
});

test("a first load is at most 400 kB and 25 requests, none of them twice, the data of its screen with the scripts", async () => {
  const page = await blank();
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let bytes = 0;
  const seen = [];
  session.on("Network.requestWillBeSent", ({ request }) => seen.push(request.url));
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  await load(page);
  await page.waitForTimeout(1500);
  const early = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.initiatorType === "link").map((one) => new URL(one.name).pathname));
  for (const path of ["/object_info", "/settings", "/workflow_templates/safelight/text_to_image.json"]) assert.ok(early.includes(path), `${path} is asked for only when the scripts run`);
  console.log(`first load: ${Math.round(bytes / 1000)} kB, ${seen.length} requests`);
  assert.ok(bytes <= MOST_BYTES, `${bytes} bytes`);
  assert.equal(seen.length, new Set(seen).size, `asked for twice:\n${seen.join("\n")}`);
  assert.ok(seen.length <= MOST_REQUESTS, `${seen.length} requests:\n${seen.join("\n")}`);
});
