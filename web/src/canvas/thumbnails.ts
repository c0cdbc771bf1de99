import type { NodeId } from "../document/types";

const SIDE = 256;
const MOST = 400;

/** Small bitmaps of result pictures for nodes drawn on the canvas: a 4K picture is never drawn into a 200-pixel box. */
export class Thumbnails {
  private readonly bitmaps = new Map<NodeId, { url: string; bitmap: ImageBitmap | undefined }>();

  constructor(private readonly ready: () => void) {}

  get(id: NodeId): ImageBitmap | undefined {
    return this.bitmaps.get(id)?.bitmap;
  }

  /** Says which picture a node shows; loading happens aside. */
  set(id: NodeId, url: string | undefined): void {
    const old = this.bitmaps.get(id);
    if (old?.url === url) return;
    old?.bitmap?.close();
    this.bitmaps.delete(id);
    if (url === undefined || this.bitmaps.size >= MOST) return;
    this.bitmaps.set(id, { url, bitmap: undefined });
    void this.load(id, url);
  }

  private async load(id: NodeId, url: string): Promise<void> {
    const image = new Image();
    image.src = url;
    try {
      await image.decode();
      const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight, 1));
      const bitmap = await createImageBitmap(image, {
        resizeWidth: Math.max(1, Math.round(image.naturalWidth * scale)),
        resizeHeight: Math.max(1, Math.round(image.naturalHeight * scale)),
        resizeQuality: "medium",
      });
      const entry = this.bitmaps.get(id);
      if (entry?.url !== url) return bitmap.close();
      entry.bitmap = bitmap;
      this.ready();
    } catch {
      // A picture that is gone leaves its place empty; the node itself says so when it is near.
      this.bitmaps.delete(id);
    }
  }

  clear(): void {
    for (const entry of this.bitmaps.values()) entry.bitmap?.close();
    this.bitmaps.clear();
  }
}
