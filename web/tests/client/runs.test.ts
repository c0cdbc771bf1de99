import { expect, test } from "vitest";
import { RunState } from "../../src/client/runs";
import { readPreview } from "../../src/client/socket";

const told = (type: string, data: Record<string, unknown>) => ({ type, data: { prompt_id: "job", ...data } });
const progress = (id: string, value: number, max: number, state: string) => ({ [id]: { value, max, state, display_node_id: id } });

function begun(): RunState {
  const run = new RunState();
  run.queued("job", ["1", "2", "3", "4:7"], {});
  run.hear(told("execution_start", {}));
  return run;
}

test("a run is told node by node", () => {
  const run = begun();
  expect(run.node("1")?.status).toBe("queued");
  run.hear(told("execution_cached", { nodes: ["1"] }));
  run.hear(told("executing", { node: "2" }));
  run.hear(told("progress_state", { nodes: { ...progress("1", 1, 1, "finished"), ...progress("2", 5, 20, "running") } }));
  expect(run.node("1")?.status).toBe("cached");
  expect(run.node("2")).toMatchObject({ status: "running", progress: 0.25 });
  expect(run.summary.get().progress).toBeCloseTo(1.25 / 4);
  run.hear(told("progress_state", { nodes: progress("2", 20, 20, "finished") }));
  expect(run.node("2")?.status).toBe("done");
  expect(run.node("2")?.seconds).toBeGreaterThanOrEqual(0);
  run.hear(told("executed", { node: "3", output: { images: [{ filename: "a.png", subfolder: "", type: "output" }] } }));
  run.hear(told("execution_success", {}));
  expect(run.node("3")?.images?.[0]?.url).toContain("filename=a.png");
  expect(run.summary.get().phase).toBe("done");
});

test("films are among what a node shows, and what may move has a still", () => {
  const run = begun();
  const file = (filename: string) => ({ filename, subfolder: "", type: "output" });
  run.hear(told("executed", { node: "3", output: { images: [file("a.png"), file("b.webp")], animated: [true], gifs: [file("c.mp4"), null], video: "d.mp4" } }));
  const images = run.node("3")?.images ?? [];
  expect(images.map(({ name, film }) => [name, film])).toEqual([["a.png", undefined], ["b.webp", undefined], ["c.mp4", true]]);
  expect(images.map(({ still }) => still?.includes("preview=webp"))).toEqual([undefined, true, undefined]);
  expect(run.latest.get().map((one) => one.name)).toEqual(["a.png", "b.webp", "c.mp4"]);
});

test("subgraph nodes show what runs inside them, and inner views have inner ids", () => {
  const run = begun();
  run.hear(told("executing", { node: "4:7" }));
  expect(run.node("4")?.status).toBe("running");
  const heard: string[] = [];
  run.view("4:").subscribe((changed) => heard.push(...changed));
  run.hear(told("progress", { node: "4:7", value: 1, max: 2 }));
  expect(heard).toContain("7");
  expect(run.view("4:").node("7")?.progress).toBe(0.5);
});

test("pictures stay when the next run begins, problems do not", () => {
  const run = begun();
  run.hear(told("executed", { node: "3", output: { images: [{ filename: "a.png", subfolder: "", type: "output" }] } }));
  run.hear(told("execution_error", { node_id: "2", exception_message: "no memory", hint: "smaller" }));
  expect(run.node("2")?.problems).toEqual([{ message: "no memory", hint: "smaller" }]);
  expect(run.summary.get()).toMatchObject({ phase: "failed", message: "no memory" });
  run.clearProblems();
  run.queued("second", ["1", "2", "3"], {});
  expect(run.node("2")?.problems).toBeUndefined();
  expect(run.node("3")?.images).toHaveLength(1);
});

test("jobs of others change nothing", () => {
  const run = begun();
  run.hear({ type: "execution_error", data: { prompt_id: "other", node_id: "1", exception_message: "x" } });
  expect(run.summary.get().phase).toBe("running");
});

test("a preview frame is read, a short one is not", async () => {
  const facts = new TextEncoder().encode(JSON.stringify({ node_id: "2", display_node_id: "2", prompt_id: "job", image_type: "image/jpeg" }));
  const frame = new Uint8Array(8 + facts.length + 3);
  new DataView(frame.buffer).setUint32(0, 4);
  new DataView(frame.buffer).setUint32(4, facts.length);
  frame.set(facts, 8);
  frame.set([1, 2, 3], 8 + facts.length);
  const read = readPreview(frame.buffer);
  expect(read).toMatchObject({ nodeId: "2", promptId: "job" });
  expect(new Uint8Array(await read!.picture.arrayBuffer())).toEqual(new Uint8Array([1, 2, 3]));
  expect(readPreview(frame.slice(0, 20).buffer)).toBeUndefined();
  expect(readPreview(new ArrayBuffer(4))).toBeUndefined();
});
