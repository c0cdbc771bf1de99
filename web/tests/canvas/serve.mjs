/** Builds the page with the canvas alone, serves it, and opens it in the system's Chromium. */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(here, "../../package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
// The policy of the product: what it forbids must not be needed here either.
const POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:";

export async function openPage({ width = 1600, height = 900, scale = 1, theme = "dark" } = {}) {
  const out = mkdtempSync(join(tmpdir(), "safelight-canvas-"));
  const { build } = await load("vite");
  const { default: react } = await load("@vitejs/plugin-react");
  await build({
    configFile: false, logLevel: "error", root: join(here, "page"), base: "./", plugins: [react()],
    build: { outDir: out, emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
  });
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    const file = join(out, path === "/" ? "index.html" : path);
    if (!file.startsWith(out) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": POLICY });
    response.end(readFileSync(file));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { chromium } = (await load("playwright-core")).default;
  const browser = await chromium.launch({
    executablePath: process.env.SAFELIGHT_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
  });
  const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: scale });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  page.on("console", (message) => message.type() === "error" && !message.text().includes("favicon") && errors.push(message.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.page !== undefined);
  await page.evaluate((name) => (document.documentElement.dataset.theme = name), theme);
  const close = async () => {
    await browser.close();
    server.close();
    rmSync(out, { recursive: true, force: true });
  };
  return { page, browser, errors, close };
}
