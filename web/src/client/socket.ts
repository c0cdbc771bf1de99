import { ask } from "./http";
import { Previews } from "./previews";
import { Store } from "./store";

export interface Told {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly n?: number;
}
export interface Preview {
  readonly nodeId: string;
  readonly displayId: string;
  readonly promptId: string;
  readonly picture: Blob;
  /** The picture decoded; whoever takes it closes it. */
  readonly frame?: ImageBitmap;
}
export type Connection = "connecting" | "open" | "lost";

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;
const PREVIEW_WITH_METADATA = 4;

/** Read a binary frame; undefined for one that is no preview with facts. */
export function readPreview(frame: ArrayBuffer): Preview | undefined {
  const view = new DataView(frame);
  if (frame.byteLength < 8 || view.getUint32(0) !== PREVIEW_WITH_METADATA) return undefined;
  const length = view.getUint32(4);
  if (8 + length > frame.byteLength) return undefined;
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 8, length))) as Record<string, string | null>;
  const nodeId = String(facts.node_id);
  return {
    nodeId,
    displayId: String(facts.display_node_id ?? nodeId),
    promptId: String(facts.prompt_id),
    picture: new Blob([new Uint8Array(frame, 8 + length)], { type: facts.image_type ?? "image/jpeg" }),
  };
}

/**
 * The server's WebSocket, kept open. What has a number is told exactly once, in order, across reconnects and reloads of
 * the page: the last number is kept for the tab, and the server is asked for what came after it.
 */
export class LiveSocket {
  readonly connection = new Store<Connection>("connecting");
  clientId = "";
  readonly #hear: (told: Told) => void;
  readonly #previews: Previews;
  #socket: WebSocket | undefined;
  #last: number | undefined;
  #wait = FIRST_WAIT_MS;
  #closed = false;

  constructor(hear: (told: Told) => void, see: (preview: Preview) => void) {
    this.#hear = hear;
    this.#previews = new Previews(see);
  }

  /** Begin as the client `id`: with what it has not heard yet. */
  start(id: string): void {
    this.clientId = id;
    const last = sessionStorage.getItem("event");
    if (last !== null) this.#last = Number(last);
    void this.#open();
  }

  async #open(): Promise<void> {
    if (this.#closed) return;
    try {
      // A new tab hears what happens from now on.
      this.#last ??= (await ask<{ newest: number }>("GET /events", { query: { since: Number.MAX_SAFE_INTEGER, limit: 1 } })).newest;
    } catch {
      this.#again();
      return;
    }
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = new URLSearchParams({ clientId: this.clientId, since: String(this.#last) });
    const socket = new WebSocket(`${scheme}://${location.host}/ws?${query}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = FIRST_WAIT_MS;
      socket.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
      this.connection.set("open");
    };
    socket.onmessage = ({ data }) => this.#take(data as string | ArrayBuffer);
    socket.onclose = () => this.#again();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  #take(data: string | ArrayBuffer): void {
    if (typeof data !== "string") {
      const preview = readPreview(data);
      if (preview) this.#previews.take(preview);
      return;
    }
    const told = JSON.parse(data) as Told;
    if (told.n !== undefined) {
      if (this.#last !== undefined && told.n <= this.#last) return;
      this.#last = told.n;
      sessionStorage.setItem("event", String(told.n));
    }
    this.#hear(told);
  }

  #again(): void {
    if (this.#closed) return;
    this.connection.set("lost");
    setTimeout(() => void this.#open(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
  }
}
