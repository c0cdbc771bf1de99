/** What journeys have in common: a server and a browser for all tests of a file, ways into its pages, looks at them. */
import { after } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { openPage, shoot, startBrowser, startServer } from "./server.mjs";

/** A server and a browser until the last test of the file has ended; `options` are those of `startServer`. */
export async function journey(options) {
  const server = await startServer(options);
  let browser;
  after(async () => {
    await browser?.close();
    await server.stop();
  });
  browser = await startBrowser();
  const visit = (more) => openPage(browser, server.url, more);
  /** As `visit`, with the graph on screen and at rest. */
  const visitGraph = async (more) => {
    const opened = await visit(more);
    await opened.page.getByRole("button", { name: "Graph", exact: true }).click();
    await opened.page.locator(".graph .node").first().waitFor();
    await opened.page.waitForTimeout(400);
    return opened;
  };
  return { server, browser, visit, visitGraph };
}

/** What axe finds that is serious, as text. */
export async function serious(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const bad = violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  return bad.map((one) => `${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map((node) => `${node.target.join(" ")} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
}

/** The same of a screen at rest, with its name, and its picture kept. */
export async function check(page, name) {
  await page.waitForTimeout(350);
  await shoot(page, name);
  return (await serious(page)).map((one) => `${name}: ${one}`);
}

export const middle = async (locator) => {
  const box = await locator.boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
