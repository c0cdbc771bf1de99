/** A real server with folders of its own, and a browser: what every journey needs. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const PYTHON = process.env.SAFELIGHT_PYTHON ?? join(ROOT, ".venv/bin/python");
const CHROMIUM = process.env.SAFELIGHT_CHROMIUM ?? "/usr/bin/chromium";
const START_MS = 60_000;
const TICK_MS = 10;
let nextPort = Number(process.env.SAFELIGHT_PORT ?? 9400);

/**
 * Start a server; `again` starts it anew with the same folders after `kill`. `prepare` may write into its folder before,
 * `args` are more arguments, given the folder.
 */
export async function startServer({ prepare = () => undefined, args = () => [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "safelight-journey-"));
  for (const name of ["user", "output", "temp", "input"]) mkdirSync(join(folder, name));
  cpSync(join(ROOT, "input"), join(folder, "input"), { recursive: true });
  prepare(folder);
  const port = nextPort++;
  const url = `http://127.0.0.1:${port}`;
  let child;
  const start = async () => {
    // One that was left behind would answer in the place of ours.
    if (await fetch(`${url}/healthz`).catch(() => undefined)) throw new Error(`there is a server on port ${port} already`);
    const folders = ["user", "output", "temp", "input"].flatMap((name) => [`--${name}-directory`, join(folder, name)]);
    child = spawn(PYTHON, ["main.py", "serve", "--port", String(port), "--cpu", ...folders, ...args(folder)], {
      cwd: ROOT,
      env: { ...process.env, OMP_NUM_THREADS: "1" },
      stdio: process.env.SAFELIGHT_VERBOSE ? "inherit" : "ignore",
      detached: process.platform !== "win32",
    });
    const deadline = Date.now() + START_MS;
    for (;;) {
      try {
        if ((await fetch(`${url}/healthz`)).ok) return;
      } catch {
        if (Date.now() > deadline || child.exitCode !== null) throw new Error("the server did not start");
      }
      await new Promise((done) => setTimeout(done, 150));
    }
  };
  /** End the server with all its workers, as a crash would, and wait until it is gone. */
  const kill = async (signal = "SIGKILL") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    process.kill(-child.pid, signal);
    await gone;
  };
  await start();
  return {
    url,
    folder,
    kill,
    again: start,
    /** Milliseconds of the processor that the server's own process has taken; 0 where the system does not tell. */
    busy: () => {
      const stat = `/proc/${child.pid}/stat`;
      const fields = existsSync(stat) ? readFileSync(stat, "utf8").replace(/^.*\) /s, "").split(" ") : [];
      return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
    },
    stop: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** A fresh profile's page that fails the journey on errors of the page and on whatever the policy refused. */
export async function openPage(browser, url, { theme = "dark", viewport = { width: 1440, height: 900 }, ...more } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: theme, locale: "en-US", ...more });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/ERR_CONNECTION|WebSocket|Failed to load resource/.test(message.text())) problems.push(message.text());
  });
  await page.goto(url);
  return { page, context, problems };
}

const SHOTS = process.env.SAFELIGHT_SCREENSHOTS;
export async function shoot(page, name) {
  if (!SHOTS) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Drop a file on the page, as from the desktop. */
export async function dropFile(page, name, data, type) {
  const base64 = Buffer.from(data).toString("base64");
  await page.evaluate(
    ({ base64, name, type }) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name, { type }));
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    { base64, name, type },
  );
}
