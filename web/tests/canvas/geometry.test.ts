import { describe, expect, it } from "vitest";
import { Camera } from "../../src/canvas/camera";
import { distanceToCurve, pointAt } from "../../src/canvas/curve";
import { cloneCommands, deleteCommands, fittingPort, linkCommands, partners, verdict } from "../../src/canvas/edit";
import { hit, neighbour, nodesIn, portPoint } from "../../src/canvas/hit";
import { PAD, ROW, TITLE, type NodeLayout } from "../../src/canvas/layout";
import { LinkTable } from "../../src/canvas/linkTable";
import { Mounts } from "../../src/canvas/mounts";
import { inkOn } from "../../src/canvas/palette";
import { Scene } from "../../src/canvas/scene";
import { SpecSource } from "../../src/canvas/specs";
import { rightToLeft } from "../../src/canvas/text";
import { readSpecs } from "../../src/document/specs";
import { createDocument } from "../../src/document/store";
import type { Document, Graph, GraphNode, Link, Slot } from "../../src/document/types";

const specs = readSpecs({
  Source: { input: { required: {} }, output: ["LATENT"], output_name: ["LATENT"] },
  Both: { input: { required: { latent: ["LATENT"], steps: ["INT", { default: 20 }], text: ["STRING", { multiline: true }] } }, output: ["LATENT"], output_name: ["LATENT"] },
  Picture: { input: { required: { image: ["IMAGE"] } }, output: [], output_name: [] },
});
const slot = (name: string, type: string): Slot => ({ name, type });

function node(id: string, type: string, x: number, y: number, more: Partial<GraphNode> = {}): GraphNode {
  const inputs = type === "Both" ? [slot("latent", "LATENT")] : type === "Picture" ? [slot("image", "IMAGE")] : [];
  const outputs = type === "Picture" ? [] : [slot("LATENT", "LATENT")];
  return { id, type, mode: "always", values: {}, inputs, outputs, x, y, width: 200, height: null, ...more };
}

function laidOut(one: GraphNode): NodeLayout {
  const { scene } = open([one]);
  return scene.layouts[0] as NodeLayout;
}

function link(id: string, from: string, to: string): Link {
  return { id, from, output: 0, to, input: 0, type: "LATENT" };
}

function open(nodes: GraphNode[], links: Link[] = []): { document: Document; scene: Scene } {
  const graph: Graph = {
    id: "", name: "", nodes: new Map(nodes.map((one) => [one.id, one])), links: new Map(links.map((one) => [one.id, one])), groups: new Map(), inputs: [], outputs: [],
  };
  const document = createDocument({ graphs: new Map([["", graph]]), form: [] });
  const scene = new Scene(document, "", new SpecSource(document, specs));
  document.subscribe((change) => scene.update(change));
  return { document, scene };
}

const row = (): { document: Document; scene: Scene } =>
  open([node("1", "Source", 0, 0), node("2", "Both", 300, 0), node("3", "Both", 600, 0), node("4", "Picture", 600, 400)], [link("1", "1", "2"), link("2", "2", "3")]);

describe("layout", () => {
  it("puts sockets in rows below the title and widgets below them", () => {
    const layout = laidOut(node("2", "Both", 0, 0));
    expect(layout.inputY[0]).toBe(TITLE + PAD + ROW / 2);
    expect(layout.outputY[0]).toBe(layout.inputY[0]);
    expect(layout.widgets.map((one) => [one.spec.name, one.kind])).toEqual([["steps", "number"], ["text", "multiline"]]);
    const last = layout.widgets[1];
    expect(layout.contentHeight).toBe((last?.y ?? 0) + (last?.height ?? 0) + PAD);
  });
  it("gives spare height to the multiline text", () => {
    const plain = laidOut(node("2", "Both", 0, 0));
    const tall = laidOut(node("2", "Both", 0, 0, { height: plain.height + 100 }));
    expect(tall.widgets[1]?.height).toBe((plain.widgets[1]?.height ?? 0) + 100);
    expect(tall.widgets[0]?.height).toBe(plain.widgets[0]?.height);
  });
  it("draws rows together where a file left less height, down to the ecosystem's rows", () => {
    const plain = laidOut(node("2", "Both", 0, 0));
    const tight = laidOut(node("2", "Both", 0, 0, { height: 60 }));
    expect(tight.height).toBe(tight.leastHeight);
    expect(tight.leastHeight).toBeLessThan(plain.contentHeight);
    expect(tight.widgets[0]?.height).toBe(24);
    const between = (plain.height + tight.height) / 2;
    expect(laidOut(node("2", "Both", 0, 0, { height: between })).height).toBeCloseTo(between, 0);
  });
  it("shows the values of an unknown type as they are", () => {
    const layout = laidOut(node("9", "Gone", 0, 0, { values: { a: 1, "a:control": "fixed", b: [1] } }));
    expect(layout.widgets.map((one) => [one.spec.name, one.kind])).toEqual([["a", "raw"], ["b", "raw"]]);
  });
});

describe("camera", () => {
  it("keeps the point under the pointer while zooming", () => {
    const camera = new Camera(() => undefined);
    camera.set(10, 20, 1);
    const before = camera.toGraph(300, 200);
    camera.zoomAt(1.7, 300, 200);
    expect(camera.toGraph(300, 200).x).toBeCloseTo(before.x, 9);
    expect(camera.toGraph(300, 200).y).toBeCloseTo(before.y, 9);
    expect(camera.zoom).toBeCloseTo(1.7, 9);
  });
  it("maps to the screen and back", () => {
    const camera = new Camera(() => undefined);
    camera.set(-40, 7, 0.3);
    const { x, y } = camera.toScreen(123, 456);
    expect(camera.toGraph(x, y).x).toBeCloseTo(123, 9);
    expect(camera.toGraph(x, y).y).toBeCloseTo(456, 9);
  });
});

describe("links", () => {
  it("lie on their curve", () => {
    const middle = pointAt(0, 0, 300, 100, 0.5);
    expect(middle).toEqual({ x: 150, y: 50 });
    expect(distanceToCurve(150, 50, 0, 0, 300, 100)).toBeLessThan(0.5);
    expect(distanceToCurve(150, 90, 0, 0, 300, 100)).toBeGreaterThan(15);
  });
  it("stay sorted by type when some come and go", () => {
    const table = new LinkTable();
    ["A", "B", "A", "C", "B"].forEach((type, n) => table.put({ ...link(String(n), "1", "2"), type }, 0, 0, 1, 1));
    table.remove("0");
    table.put({ ...link("9", "1", "2"), type: "A" }, 0, 0, 1, 1);
    const types = [...table.byType()].map((i) => table.types[table.type[i] ?? 0]);
    expect(types).toEqual(["A", "A", "B", "B", "C"]);
    expect(new Set([...table.byType()].map((i) => table.ids[i]))).toEqual(new Set(["1", "2", "3", "4", "9"]));
  });
  it("follow their nodes", () => {
    const { document, scene } = row();
    document.apply({ do: "moveNodes", graph: "", to: [{ id: "2", x: 300, y: 50 }] }, "Move");
    const i = scene.links.index.get("1") ?? -1;
    expect([scene.links.x2[i], scene.links.y2[i]]).toEqual([300, 50 + TITLE + PAD + ROW / 2]);
    document.undo();
    expect(scene.links.y2[i]).toBe(TITLE + PAD + ROW / 2);
  });
});

describe("scene", () => {
  it("follows removal and undo", () => {
    const { document, scene } = row();
    document.apply({ do: "removeNodes", graph: "", ids: ["2"] }, "Delete");
    expect([scene.count, scene.links.count]).toEqual([3, 0]);
    document.undo();
    expect([scene.count, scene.links.count]).toEqual([4, 2]);
    for (const [id, i] of scene.index) expect([scene.ids[i], scene.records[i]?.id, scene.x[i]]).toEqual([id, id, document.node("", id)?.x]);
  });
  it("says that a value changes nothing on the canvas", () => {
    const { document, scene } = row();
    const answers: boolean[] = [];
    document.subscribe((change) => answers.push(scene.update(change)));
    document.apply({ do: "setValue", graph: "", id: "2", input: "steps", value: 5 }, "x");
    document.apply({ do: "moveNodes", graph: "", to: [{ id: "2", x: 1, y: 1 }] }, "x");
    expect(answers[0]).toBe(false);
  });
});

describe("hit testing", () => {
  it("finds ports, titles, bodies, corners, links and nothing", () => {
    const { scene } = row();
    const port = portPoint(scene, { node: "2", side: "input", index: 0 });
    expect(hit(scene, (port?.x ?? 0) - 5, port?.y ?? 0, 1)).toEqual({ kind: "port", port: { node: "2", side: "input", index: 0 } });
    expect(hit(scene, 400, 10, 1)).toEqual({ kind: "title", id: "2" });
    expect(hit(scene, 305, 10, 1)).toEqual({ kind: "collapse", id: "2" });
    expect(hit(scene, 400, 100, 1)).toEqual({ kind: "body", id: "2" });
    const box = scene.box("2");
    expect(hit(scene, 499, (box?.height ?? 0) - 1, 1)).toEqual({ kind: "resize", id: "2" });
    expect(hit(scene, 230, TITLE + PAD + ROW / 2, 1).kind).toBe("link");
    expect(hit(scene, 250, 700, 1)).toEqual({ kind: "empty" });
  });
  it("gives a finger at least 24 pixels of every port at any zoom, and leaves it the title to move the node by", () => {
    const { scene } = row();
    const port = { kind: "port", port: { node: "2", side: "input", index: 0 } };
    const at = portPoint(scene, { node: "2", side: "input", index: 0 })!;
    for (const zoom of [0.35, 0.6, 1, 2]) {
      for (const [dx, dy] of [[-12, 0], [11, 0], [0, 11], [-12, 8]] as const) {
        const [x, y] = [at.x + dx / zoom, at.y + dy / zoom];
        // To the inside a fifth of the node is the port's at most; the widget's socket below may be nearer.
        if (dx / zoom < 40 && dy / zoom < 14) expect(hit(scene, x, y, zoom, true)).toEqual(port);
      }
      expect(hit(scene, 400, 10, zoom, true)).toEqual({ kind: "title", id: "2" });
      expect(hit(scene, 302, 20, zoom, true).kind).toBe("collapse");
    }
    expect(hit(scene, at.x - 25, at.y, 1).kind).not.toBe("port");
    expect(hit(scene, at.x - 25, at.y, 1, true)).toEqual(port);
  });
  it("finds nodes in a box and neighbours by direction", () => {
    const { scene } = row();
    expect(nodesIn(scene, 650, 500, 250, -10).sort()).toEqual(["2", "3", "4"]);
    expect(neighbour(scene, "2", 1, 0)).toBe("3");
    expect(neighbour(scene, "2", -1, 0)).toBe("1");
    expect(neighbour(scene, "3", 0, 1)).toBe("4");
    expect(neighbour(scene, "1", -1, 0)).toBeUndefined();
  });
});

describe("linking", () => {
  const out = (id: string) => ({ node: id, side: "output", index: 0 }) as const;
  const into = (id: string, index = 0) => ({ node: id, side: "input", index }) as const;
  it("refuses other types and circles and says why", () => {
    const { scene } = row();
    expect(verdict(scene, out("1"), into("3"))).toEqual({ ok: true });
    expect(verdict(scene, out("3"), into("2"))).toMatchObject({ ok: false, reason: expect.stringContaining("circle") });
    expect(verdict(scene, out("1"), into("4"))).toMatchObject({ ok: false, reason: "LATENT does not fit IMAGE" });
    expect(verdict(scene, out("2"), into("2"))).toMatchObject({ ok: false });
  });
  it("replaces what the input had", () => {
    const { document, scene } = row();
    document.apply({ do: "several", commands: linkCommands(scene, into("3"), out("1")) }, "Link");
    expect(document.linksOf("", "3").in.map((one) => one.from)).toEqual(["1"]);
    expect(linkCommands(scene, into("3"), out("1"))).toEqual([]);
  });
  it("gives a widget the slot it needs", () => {
    const { document, scene } = open([node("1", "Source", 0, 0, { outputs: [slot("n", "INT")] }), node("2", "Both", 300, 0)]);
    document.apply({ do: "several", commands: linkCommands(scene, out("1"), into("2", -1)) }, "Link");
    expect(document.node("", "2")?.inputs[1]).toEqual({ name: "steps", type: "INT", widget: "steps" });
    expect(document.linksOf("", "2").in[0]?.input).toBe(1);
    document.undo();
    expect(document.node("", "2")?.inputs.length).toBe(1);
  });
  it("lists partners without circles, and the first port of a body that fits", () => {
    const { scene } = row();
    expect(partners(scene, out("2")).map((port) => port.node)).toEqual(["3"]);
    expect(partners(scene, into("2")).map((port) => port.node)).toEqual(["1"]);
    expect(fittingPort(scene, out("1"), "3")).toEqual(into("3"));
    expect(fittingPort(scene, out("1"), "4")).toBeUndefined();
  });
});

describe("copies and deletion", () => {
  it("copies inner links alone", () => {
    const { document } = row();
    const copy = cloneCommands(document, "", ["2", "3"], 10, 20);
    document.apply({ do: "several", commands: copy.commands }, "Copy");
    expect(copy.ids).toEqual(["5", "6"]);
    expect(document.node("", "5")).toMatchObject({ x: 310, y: 20 });
    expect(document.linksOf("", "6").in.map((one) => one.from)).toEqual(["5"]);
    expect(document.linksOf("", "5").in).toEqual([]);
  });
  it("deletes what is selected and nothing else", () => {
    const { document } = row();
    const commands = deleteCommands(document.graph(""), { nodes: new Set(["1"]), links: new Set(["1", "2"]), groups: new Set() });
    document.apply({ do: "several", commands }, "Delete");
    expect([...document.graph("").nodes.keys()]).toEqual(["2", "3", "4"]);
    expect(document.graph("").links.size).toBe(0);
    document.undo();
    expect(document.graph("").links.size).toBe(2);
  });
});

describe("ink", () => {
  it("is read on any colour of a file", () => {
    expect([inkOn("#432"), inkOn("#ffffaa"), inkOn("#222222"), inkOn("pale_blue")]).toEqual(["#ffffff", "#111111", "#ffffff", "#ffffff"]);
  });
});

describe("culling", () => {
  it("mounts what is in view, ten a frame, and nothing when far", () => {
    const { scene } = open(Array.from({ length: 400 }, (_, n) => node(String(n), "Source", (n % 20) * 300, Math.floor(n / 20) * 200)));
    const camera = new Camera(() => undefined);
    camera.width = 1600;
    camera.height = 900;
    camera.set(0, 0, 1);
    // Nothing is ever registered here, so the DOM is not asked for.
    const mounts = new Mounts(scene, camera, () => undefined, () => undefined, () => undefined);
    expect(mounts.update()).toBe(true);
    expect(mounts.snapshot().length).toBe(10);
    while (mounts.update());
    const expected = scene.ids.filter((_, i) => (scene.x[i] ?? 0) <= 1720 && (scene.y[i] ?? 0) <= 1020);
    expect([...mounts.snapshot()].sort()).toEqual([...expected].sort());
    mounts.hold("0", true);
    camera.set(0, 0, 0.2);
    for (let n = 0; n < 20; n++) mounts.update();
    expect(mounts.snapshot()).toEqual(["0"]);
  });
});

it("a text runs the way of its first letter", () => {
  const texts = ["Sampler", "שלום", "12 مرحبا", "a שלום", "שלום a", "123…", "", "日本", "\u{1e900}"];
  expect(texts.map(rightToLeft)).toEqual([false, true, true, false, true, false, false, false, true]);
});
