import type { NodeId } from "../document/types";

const SIDE = 256;
const MOST = 400;
const FILM_MS = 5000;

/** Small bitmaps of pictures for nodes drawn on the canvas: a 4K picture is never drawn into a 200-pixel box. */
export class Thumbnails {
  private readonly bitmaps = new Map<NodeId, { source: string | Blob | ImageBitmap; bitmap: ImageBitmap | undefined }>();
  /** One picture is decoded after the other, so that opening a graph of many does not hold everything up. */
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly ready: () => void) {}

  get(id: NodeId): ImageBitmap | undefined {
    return this.bitmaps.get(id)?.bitmap;
  }

  /** Says which picture a node shows; until it is there, the one before stays. */
  set(id: NodeId, source: string | Blob | ImageBitmap | undefined, film = false): void {
    const old = this.bitmaps.get(id);
    if (old?.source === source) return;
    if (source === undefined || source instanceof ImageBitmap) close(old);
    if (source === undefined) return void this.bitmaps.delete(id);
    if (old === undefined && this.bitmaps.size >= MOST) return;
    // A bitmap of a live picture belongs to the run, which closes it.
    if (source instanceof ImageBitmap) return void this.bitmaps.set(id, { source, bitmap: source });
    if (old?.source instanceof ImageBitmap) old.bitmap = undefined;
    this.bitmaps.set(id, { source, bitmap: old?.bitmap });
    this.queue = this.queue.then(() => this.load(id, source, film));
  }

  private async load(id: NodeId, source: string | Blob, film: boolean): Promise<void> {
    if (this.bitmaps.get(id)?.source !== source) return;
    try {
      const bitmap = await (film && typeof source === "string" ? firstFrame(source) : small(source));
      const entry = this.bitmaps.get(id);
      if (entry?.source !== source) return bitmap.close();
      close(entry);
      entry.bitmap = bitmap;
      this.ready();
    } catch {
      // A picture that is gone leaves its place empty; the node itself says so when it is near.
      close(this.bitmaps.get(id));
      this.bitmaps.delete(id);
    }
  }

  clear(): void {
    for (const entry of this.bitmaps.values()) close(entry);
    this.bitmaps.clear();
  }
}

function close(entry: { readonly source: string | Blob | ImageBitmap; readonly bitmap: ImageBitmap | undefined } | undefined): void {
  if (!(entry?.source instanceof ImageBitmap)) entry?.bitmap?.close();
}

async function small(source: string | Blob): Promise<ImageBitmap> {
  let picture: ImageBitmapSource = source as Blob;
  let [width, height] = [0, 0];
  if (typeof source === "string") {
    const image = new Image();
    image.src = source;
    await image.decode();
    [width, height] = [image.naturalWidth, image.naturalHeight];
    picture = image;
  }
  // Previews that come as a Blob are small already.
  return reduced(picture, width, height);
}

/** The beginning of a film; one that does not come soon does not hold up the pictures after it. */
async function firstFrame(url: string): Promise<ImageBitmap> {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  try {
    await new Promise((done, fail) => {
      video.onloadeddata = done;
      video.onerror = fail;
      setTimeout(fail, FILM_MS);
      video.src = `${url}#t=0.01`;
    });
    return await reduced(video, video.videoWidth, video.videoHeight);
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

async function reduced(picture: ImageBitmapSource, width: number, height: number): Promise<ImageBitmap> {
  if (Math.max(width, height) <= SIDE) return createImageBitmap(picture);
  const scale = SIDE / Math.max(width, height);
  return createImageBitmap(picture, {
    resizeWidth: Math.max(1, Math.round(width * scale)), resizeHeight: Math.max(1, Math.round(height * scale)), resizeQuality: "medium",
  });
}
