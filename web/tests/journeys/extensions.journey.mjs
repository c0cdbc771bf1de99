import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { journey } from "./journey.mjs";
import { PYTHON, ROOT, shoot } from "./server.mjs";

const HOSTILE = `<!doctype html><pre id="told"></pre><script>
  const told = [];
  const attempt = (name, work) => { try { told.push(name + ": " + String(work())); } catch (error) { told.push(name + ": refused " + error.name); } };
  attempt("page", () => parent.document.title);
  attempt("storage", () => localStorage.length);
  attempt("cookie", () => document.cookie);
  attempt("window", () => open("/") === null ? "none" : "opened");
  attempt("top", () => { top.location = "/?taken"; return "tried"; });
  const ask = (id, what, more) => parent.postMessage({ safelight: 1, id, ask: what, ...more }, "*");
  addEventListener("message", ({ data }) => { told.push("answer " + data.id + ": " + (data.error ?? "yes")); show(); });
  ask(1, "setValue", { node: "1", input: "ckpt_name", value: "taken" });
  ask(2, "nodes");
  ask(3, "say", { text: "<img src=x onerror=alert(1)>" });
  const show = () => { document.getElementById("told").textContent = told.join("\\n"); };
  fetch("/settings").then(() => told.push("network: open"), () => told.push("network: refused")).then(show);
  new Image().src = "https://example.com/leak.png";
</script>`;

const { server, visit } = await journey({
  prepare(folder) {
    const pack = (name, page, manifest) => {
      const web = join(folder, "custom_nodes", name, "web");
      mkdirSync(web, { recursive: true });
      const code = `class ${name}:\n    RETURN_TYPES = ()\n    FUNCTION = "run"\n    CATEGORY = "x"\n\n    @classmethod\n    def INPUT_TYPES(cls):\n        return {"required": {}}\n\n    def run(self):\n        return ()\n\n\nNODE_CLASS_MAPPINGS = {"${name}": ${name}}\nWEB_DIRECTORY = "web"\n`;
      writeFileSync(join(folder, "custom_nodes", name, "__init__.py"), code);
      writeFileSync(join(web, "page.html"), page);
      writeFileSync(join(web, "extension.json"), JSON.stringify({ api: 1, title: name, panels: [{ id: "page", title: name, page: "page.html" }], ...manifest }));
    };
    pack("Hostile", HOSTILE, { may: [] });
    pack("Unapproved", "<script>parent.postMessage({ safelight: 1, id: 1, ask: 'say', text: 'loaded' }, '*')</script>", {});
    cpSync(join(ROOT, "custom_nodes/example"), join(folder, "custom_nodes/example"), { recursive: true });
    for (const name of ["models", "workflows"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    const trust = (name, ...more) => execFileSync(PYTHON, ["main.py", "packs", "trust", name, ...more, "--base-directory", folder], { cwd: ROOT, stdio: "pipe" });
    trust("example", "--web");
    trust("Hostile", "--web");
    trust("Unapproved"); // its code, not its pages
  },
  args: (folder) => ["--base-directory", folder],
});

test("an approved extension adds a node, follows the selection and sets a value that undo takes back", async () => {
  const { page, context, problems } = await visit();
  await page.getByRole("button", { name: "Graph", exact: true }).click();
  await page.locator(".graph").waitFor();
  await page.locator(".rail").getByRole("button", { name: "Packs" }).click();
  await page.getByRole("button", { name: "Panel of an extension: Choose a panel" }).waitFor();
  assert.equal(await page.locator("iframe.extension").count(), 0, "of several none is loaded unasked");
  await page.getByRole("button", { name: /Panel of an extension/ }).click();
  await page.getByRole("option", { name: /Tints/ }).click();
  const frame = page.frameLocator("iframe.extension");
  await frame.getByRole("button", { name: "Blue" }).click();
  const node = page.locator(".node", { hasText: "Tint" });
  await node.getByText("blue").first().waitFor();
  await frame.getByText("Tint: blue").waitFor();
  assert.equal(await node.locator("input[type=range]").count(), 1, "the declared slider");
  await frame.getByRole("button", { name: "Sepia" }).click();
  await frame.getByText("Tint: sepia").waitFor();
  await shoot(page, "extension");
  await page.locator(".graph").click({ position: { x: 20, y: 500 } });
  await page.keyboard.press("Control+z");
  await node.getByText("blue").first().waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "All commands" }).fill("sepia tint");
  await page.keyboard.press("Enter");
  await page.locator(".node", { hasText: "Tint" }).nth(1).waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("what was not approved is not loaded, and says how to", async () => {
  const { page, context } = await visit();
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.reload();
  await page.locator(".rail").getByRole("button", { name: "Packs" }).click();
  await page.getByText(/packs trust Unapproved --web/).waitFor();
  await page.waitForTimeout(500);
  assert.deepEqual(asked.filter((path) => path.includes("Unapproved")), []);
  for (const file of ["page.html", "extension.json"]) assert.equal((await fetch(`${server.url}/extensions/Unapproved/${file}`)).status, 404);
  await context.close();
});

test("a hostile page has no way into the editor", async () => {
  const { page, context } = await visit();
  const elsewhere = [];
  const own = (request) => request.url().startsWith(server.url);
  page.on("requestfinished", (request) => own(request) || elsewhere.push(request.url()));
  page.on("requestfailed", (request) => own(request) || request.failure()?.errorText === "csp" || elsewhere.push(`${request.url()} ${request.failure()?.errorText}`));
  await page.locator(".rail").getByRole("button", { name: "Packs" }).click();
  await page.getByRole("button", { name: /Panel of an extension/ }).click();
  await page.getByRole("option", { name: /Hostile/ }).click();
  const told = page.frameLocator("iframe.extension").locator("#told");
  await told.getByText("network: refused").waitFor();
  await page.waitForTimeout(300);
  const text = (await told.textContent()) ?? "";
  assert.match(text, /page: refused SecurityError/);
  assert.match(text, /storage: refused SecurityError/);
  assert.match(text, /cookie: refused SecurityError/);
  assert.match(text, /window: (none|refused)/);
  assert.match(text, /answer 1: the manifest does not ask for “edit”/);
  assert.match(text, /answer 2: the manifest does not ask for “read”/);
  assert.ok(!page.url().includes("taken"), "it led the page away");
  await page.getByText("Hostile: <img src=x onerror=alert(1)>").first().waitFor(); // as text
  assert.deepEqual(elsewhere, []);
  assert.equal(await page.evaluate(() => document.querySelectorAll("img[src=x]").length), 0);
  await context.close();
});
