/** What journeys with pictures have in common. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dropFile, ROOT } from "./server.mjs";

export const api = JSON.parse(readFileSync(join(ROOT, "workflows/text_to_image_api.json"), "utf8"));

/** Some pictures of the shipped model, made over the API. */
export async function fillOutputs(server) {
  const sampler = Object.keys(api).find((id) => api[id].class_type === "KSampler");
  const text = Object.keys(api).find((id) => api[id].class_type === "CLIPTextEncode" && api[id].inputs.text !== "");
  for (const [words, seed] of [["a red apple", 11], ["a yellow star", 12], ["a blue fish", 13], ["a red apple", 14]]) {
    const prompt = structuredClone(api);
    Object.assign(prompt[sampler].inputs, { seed, steps: 8 });
    prompt[text].inputs.text = words;
    await post(server, "/prompt", { prompt, extra_data: { workflow_name: "From the API" } });
  }
  await settled(server);
}

export async function post(server, path, body) {
  const answer = await fetch(server.url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return answer.json();
}

export async function settled(server) {
  for (let tries = 0; tries < 600; tries++) {
    const { exec_info } = await (await fetch(`${server.url}/prompt`)).json();
    if (exec_info.queue_remaining === 0) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("the queue does not empty");
}

/** Pixels of a picture of the server. */
export const pixels = (page, query) =>
  page.evaluate(async (query) => {
    const answer = await fetch(`/view?${query}`);
    const bitmap = await createImageBitmap(await answer.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { width: bitmap.width, height: bitmap.height, data: Array.from(context.getImageData(0, 0, bitmap.width, bitmap.height).data) };
  }, query);

export const openGallery = async (page) => {
  await page.locator(".rail").getByRole("button", { name: "Pictures" }).click();
  await page.locator(".tile img").first().waitFor();
};

/** Drop a workflow file and show its graph. */
export async function openWorkflow(page, name, change = (text) => text) {
  const count = await page.locator(".tab").count();
  await dropFile(page, `${name}.json`, change(readFileSync(join(ROOT, "workflows", `${name}.json`), "utf8")), "application/json");
  await page.locator(".tab").nth(count).waitFor();
  await page.locator(".graph").waitFor();
}

/** Go to a node of the graph and choose from its menu. */
export async function nodeMenu(page, title, item) {
  const node = page.locator(`.node[aria-label="${title}"]`);
  await page.locator(".graph").focus();
  await page.keyboard.press("Control+f");
  await page.getByRole("combobox", { name: "Find in the graph" }).fill(title);
  await page.keyboard.press("Enter");
  await node.waitFor();
  await page.waitForTimeout(400);
  await node.click({ button: "right", position: { x: 90, y: 14 } });
  await page.getByRole("menuitem", { name: item }).click();
}

/** A film of half a second, made by the browser itself. */
export const film = (page, side = 64) =>
  page.evaluate(async (side) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: "video/webm" });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const stopped = new Promise((done) => (recorder.onstop = done));
    recorder.start();
    for (let at = 0; at < 20; at++) {
      context.fillStyle = `hsl(${at * 18} 80% 50%)`;
      context.fillRect(0, 0, side, side);
      await new Promise((done) => setTimeout(done, 30));
    }
    recorder.stop();
    await stopped;
    return Array.from(new Uint8Array(await new Blob(parts).arrayBuffer()));
  }, side);
