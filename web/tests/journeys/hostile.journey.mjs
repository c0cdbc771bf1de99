/** S39 and S40 of the list of security tests: whatever texts hold, they are texts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";
import { shoot } from "./server.mjs";

const { server, visit } = await journey();

const MARKUP = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)><a href="javascript:alert(4)">x</a>';

function workflow() {
  const node = (id, type, x, extra) => ({ id, type, pos: [x, 0], size: [300, 200], flags: {}, order: id, mode: 0, inputs: [], outputs: [], properties: {}, ...extra });
  return {
    last_node_id: 4, last_link_id: 0, links: [], config: {}, version: 0.4,
    extra: { note: MARKUP },
    nodes: [
      node(1, "Note", 0, { title: MARKUP, widgets_values: [MARKUP] }),
      node(2, "MarkdownNote", 400, { title: MARKUP, widgets_values: [`# ${MARKUP}\n[x](javascript:alert(5)) ![y](https://example.com/beacon.png) [z](data:text/html,<script>alert(6)</script>)`] }),
      node(3, MARKUP, 800, { title: MARKUP, widgets_values: [MARKUP], outputs: [{ name: MARKUP, type: MARKUP, links: null }] }),
      node(4, "CheckpointLoaderSimple", 0, { pos: [0, 400], title: MARKUP, widgets_values: [MARKUP] }),
    ],
    groups: [{ title: MARKUP, bounding: [0, -80, 600, 200], color: MARKUP, font_size: 24 }],
  };
}

test("markup in titles, notes, groups, types, values, file names and settings is shown and never run", async () => {
  const folder = join(server.folder, "user/default/workflows");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "<img src=x onerror=alert(7)>.json"), JSON.stringify(workflow()));
  await fetch(`${server.url}/settings`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ "Safelight.theme": MARKUP, "Safelight.favourites": [MARKUP], "Safelight.Keys": { [MARKUP]: [MARKUP] } }),
  });
  const { page, context, problems } = await visit();
  const outside = [];
  let dialogs = 0;
  page.on("dialog", (dialog) => {
    dialogs += 1;
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(server.url) && !/^(blob|data):/.test(request.url())) outside.push(request.url());
  });
  await page.getByRole("button", { name: "Make the picture" }).waitFor();
  const scripts = await page.locator("script").count();
  await page.locator(".rail").getByRole("button", { name: "Workflows" }).click();
  await page.getByRole("button", { name: "<img src=x onerror=alert(7)>", exact: true }).click();
  await page.locator(".graph").waitFor();
  await page.waitForTimeout(600);
  await shoot(page, "hostile");
  for (const name of ["Outline", "History", "Nodes", "Settings", "Queue"]) {
    await page.locator(".rail").getByRole("button", { name }).click();
    await page.waitForTimeout(200);
  }
  await page.keyboard.press("Control+f");
  await page.waitForTimeout(200);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+Enter");
  await page.waitForTimeout(800);
  assert.equal(dialogs, 0);
  assert.equal(await page.locator("script").count(), scripts);
  assert.equal(await page.locator("img[src='x'], svg[onload], [href^='javascript:'], [href^='data:']").count(), 0);
  assert.deepEqual(outside, []);
  assert.deepEqual(problems, [], "the policy had something to refuse");
  await context.close();
});

test("the policy forbids inline code, and says so", async () => {
  const answer = await fetch(server.url);
  const policy = answer.headers.get("content-security-policy") ?? "";
  assert.ok(!/unsafe-(inline|eval)/.test(policy), policy);
  assert.match(policy, /script-src 'self'/);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.equal(answer.headers.get("cache-control"), "no-cache");
  const page = await answer.text();
  const script = /href="(\/assets\/shell-[^"]+\.js)"/.exec(page)?.[1];
  const asset = await fetch(server.url + script, { headers: { "Accept-Encoding": "br" } });
  assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
  assert.equal(asset.headers.get("content-encoding"), "br");
  for (const name of ["..%2f..%2fpage.py", "nothing.js", ".hidden.js"]) assert.equal((await fetch(`${server.url}/assets/${name}`)).status, 404, name);
});
