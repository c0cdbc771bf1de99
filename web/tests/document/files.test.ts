import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFile, readFile } from "../../src/document/files";
import { ROOT } from "../../src/document/types";
import { taken } from "./timing";

const prompt = { "1": { class_type: "A", inputs: { text: "naïve ✓" } } };
const workflow = { nodes: [], links: [], version: 0.4 };
const PROMPT = JSON.stringify(prompt);
const WORKFLOW = JSON.stringify(workflow);

function stored(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(join(import.meta.dirname, "fixtures/media", name)));
}

type Parts = readonly (string | readonly number[] | Uint8Array)[];

function joined(...parts: Parts): Uint8Array<ArrayBuffer> {
  const bytes = parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : [...part]));
  return new Uint8Array(bytes);
}

function big(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function little(value: number): number[] {
  return big(value).reverse();
}

function box(kind: string, ...parts: Parts): Uint8Array {
  const body = joined(...parts);
  return joined(
    big(body.length + 8),
    [...kind].map((letter) => letter.charCodeAt(0)),
    body,
  );
}

function element(id: readonly number[], ...parts: Parts): Uint8Array {
  const body = joined(...parts);
  return joined(id, [0x10 | (body.length >>> 24), ...big(body.length).slice(1)], body);
}

function tag(name: string, text: string): Uint8Array {
  return element([0x67, 0xc8], element([0x45, 0xa3], name), element([0x44, 0x87], text));
}

function comments(...pairs: string[]): Uint8Array {
  const parts = pairs.flatMap((pair) => [little(joined(pair).length), pair]);
  return joined(little(3), "abc", little(pairs.length), ...parts);
}

const key = (name: string) => joined(big(name.length + 8), "mdta", name);
const entry = (number: number, text: string) =>
  joined(
    box("", new Uint8Array()).slice(0, 0),
    big(joined(text).length + 24),
    big(number),
    box("data", big(1), big(0), text),
  );
const meta = joined(
  big(0),
  box("hdlr", new Uint8Array(24)),
  box("keys", big(0), big(2), key("prompt"), key("workflow")),
  box("ilst", entry(1, PROMPT), entry(2, WORKFLOW)),
);

const made: Record<string, Uint8Array<ArrayBuffer>> = {
  "text.json": joined(`\ufeff ${WORKFLOW}`),
  "request.json": joined(JSON.stringify({ prompt, workflow })),
  "clip.mp4": joined(
    box("ftyp", "isom", big(0)),
    box("mdat", new Uint8Array(99)),
    box("moov", box("udta", box("meta", meta))),
  ),
  "clip.webm": joined(
    element([0x1a, 0x45, 0xdf, 0xa3], [0x42, 0x86, 0x81, 1]),
    [0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    element([0x1f, 0x43, 0xb6, 0x75], new Uint8Array(300)),
    element([0x12, 0x54, 0xc3, 0x67], element([0x73, 0x73], tag("PROMPT", PROMPT), tag("WORKFLOW", WORKFLOW))),
  ),
  "sound.flac": joined(
    "fLaC",
    big(2),
    "ab",
    big((0x84 << 24) | comments(`prompt=${PROMPT}`, `WORKFLOW=${WORKFLOW}`).length),
    comments(`prompt=${PROMPT}`, `WORKFLOW=${WORKFLOW}`),
  ),
  "latent.safetensors": joined(...safetensors()),
  "mesh.glb": joined(...glb()),
  "drawing.svg": joined(
    `<?xml version="1.0"?><svg><metadata><![CDATA[${JSON.stringify({ prompt, workflow })}]]></metadata></svg>`,
  ),
  "plain.png": stored("plain.png"),
  "exif.webp": stored("exif.webp"),
  "exif.avif": stored("exif.avif"),
};

function glb(): [string, number[], string] {
  const json = JSON.stringify({ asset: { version: "2.0", extras: { prompt: PROMPT, workflow } } });
  const size = joined(json).length;
  return ["glTF", [...little(2), ...little(size + 20), ...little(size), ...little(0x4e4f534a)], json];
}

function safetensors(): [number[], string] {
  const header = JSON.stringify({
    x: { dtype: "F32", shape: [0], data_offsets: [0, 0] },
    __metadata__: { prompt: PROMPT, workflow: WORKFLOW },
  });
  return [[...little(joined(header).length), 0, 0, 0, 0], header];
}

describe("what a file carries is found", () => {
  it.each(Object.keys(made))("in %s", async (name) => {
    const found = await readFile(made[name]!.buffer);
    expect(found.workflow).toEqual(workflow);
    if (name !== "text.json") expect(found.prompt).toEqual(prompt);
  });

  it("as plain settings", async () => {
    expect(await readFile(stored("comment.jpg").buffer)).toEqual({ parameters: "a cat, steps: 3" });
    expect((await readFile(made["plain.png"]!.buffer)).parameters).toBe("steps: 3");
    await expect(openFile(stored("comment.jpg").buffer, new Map())).rejects.toThrow("plain text");
  });

  it("and opened", async () => {
    expect((await openFile(joined(PROMPT).buffer, new Map())).graphs.get(ROOT)!.nodes.get("1")!.values).toEqual({
      text: "naïve ✓",
    });
    await expect(openFile(joined("GIF89a").buffer, new Map())).rejects.toThrow("no workflow");
    await expect(openFile(joined("").buffer, new Map())).rejects.toThrow("no workflow");
    await expect(openFile(joined('{"a": }').buffer, new Map())).rejects.toThrow("column 7");
  });
});

it("damaged files carry nothing or what is left of them, and take no time", async () => {
  const names = Object.keys(made).filter((name) => !name.endsWith(".json"));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
      fc.nat(),
      async (name, changes, cut) => {
        const data = made[name]!.slice(0, cut % 3 === 0 ? cut % made[name]!.length : undefined);
        for (const [at, value] of changes) if (data.length > 0) data[at % Math.min(data.length, 200)] = value;
        await readFile(data.buffer).catch((error: unknown) => {
          if (!(error instanceof Error) || error.name !== "DocumentError") throw error;
        });
      },
    ),
    { numRuns: 400 },
  );
});

it("a hundred megabytes of nothing are over at once", async () => {
  for (const start of [
    "\x1a\x45\xdf\xa3",
    "RIFF\0\0\0\0WEBP",
    "\0\0\0\x08ftyp",
    "OggS",
    "ID3\x03",
    "fLaC",
    "\x89PNG\r\n\x1a\n",
  ]) {
    const data = new Uint8Array(100 << 20);
    data.set([...start].map((letter) => letter.charCodeAt(0)));
    expect(await taken(() => readFile(data.buffer))).toBeLessThan(2000);
  }
});
