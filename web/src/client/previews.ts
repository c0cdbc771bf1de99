import type { Preview } from "./socket";

/** More pictures of one node than this are not seen as more. */
const LEAST_MS = 40;

interface Answer {
  readonly number: number;
  readonly frame?: ImageBitmap;
}
/** The pictures of one node: at most one is being decoded, and of those that wait only the newest is kept. */
interface Line {
  waiting: Preview | undefined;
  busy: boolean;
}

/** Decodes live pictures in a worker and gives them on with their bitmaps, which whoever shows them closes. */
export class Previews {
  private worker: Worker | undefined;
  private readonly lines = new Map<string, Line>();
  private readonly orders = new Map<number, Preview>();
  private last = 0;

  constructor(private readonly see: (preview: Preview) => void) {}

  take(preview: Preview): void {
    if (typeof Worker === "undefined") return this.see(preview);
    const key = keyOf(preview);
    const line = this.lines.get(key) ?? { waiting: undefined, busy: false };
    this.lines.set(key, line);
    line.waiting = preview;
    if (!line.busy) this.send(line);
  }

  private send(line: Line): void {
    const preview = line.waiting;
    if (preview === undefined) return;
    line.waiting = undefined;
    line.busy = true;
    this.orders.set(++this.last, preview);
    this.worker ??= this.started();
    this.worker.postMessage({ number: this.last, picture: preview.picture });
  }

  private started(): Worker {
    const worker = new Worker(new URL("./previewWorker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.decoded(data);
    return worker;
  }

  private decoded({ number, frame }: Answer): void {
    const preview = this.orders.get(number);
    this.orders.delete(number);
    if (preview === undefined) return frame?.close();
    const key = keyOf(preview);
    if (frame !== undefined) this.see({ ...preview, frame });
    setTimeout(() => {
      const line = this.lines.get(key);
      if (line === undefined) return;
      line.busy = false;
      if (line.waiting === undefined) this.lines.delete(key);
      else this.send(line);
    }, LEAST_MS);
  }
}

function keyOf({ promptId, nodeId }: Preview): string {
  return `${promptId}\n${nodeId}`;
}
