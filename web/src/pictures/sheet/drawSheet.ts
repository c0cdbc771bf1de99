/** A sheet as one picture, with its headings, to be kept or sent. */
import { fetchPicture } from "../files";
import type { SheetAxis, Shown } from "../screens";

const LARGEST_SIDE = 12_288;
const GAP = 8;

/** Raises an error when none of the pictures can be read. */
export async function drawSheet(name: string, axes: readonly SheetAxis[], picture: (column: number, row: number) => Shown | undefined): Promise<Blob> {
  const [across, down] = axes;
  const columns = across?.values ?? [""];
  const rows = down?.values ?? [""];
  const first = await firstOf(columns.length, rows.length, picture);
  const fits = Math.min(1, (LARGEST_SIDE * 0.9) / (columns.length * (first.width + GAP)), (LARGEST_SIDE * 0.9) / (rows.length * (first.height + GAP)));
  const [width, height] = [Math.max(1, Math.floor(first.width * fits)), Math.max(1, Math.floor(first.height * fits))];
  const text = Math.max(12, Math.min(28, Math.round(width / 14)));
  const left = down ? Math.min(Math.max(320, width), widest(rows, text)) + 3 * GAP : GAP;
  const top = text * 4.4;
  const canvas = new OffscreenCanvas(Math.ceil(left + columns.length * (width + GAP)), Math.ceil(top + rows.length * (height + GAP)));
  const context = canvas.getContext("2d")!;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#1d1b19";
  context.textBaseline = "middle";
  const write = (words: string, x: number, y: number, most: number, weight = 400): void => {
    context.font = `${weight} ${text}px system-ui, sans-serif`;
    context.fillText(shortened(context, words, most), x, y);
  };
  write([name, across && `${across.title} · ${across.input} →`, down && `${down.title} · ${down.input} ↓`].filter(Boolean).join("   "), GAP, text * 1.2, canvas.width - 2 * GAP, 600);
  columns.forEach((value, column) => write(value, left + column * (width + GAP), top - text, width, 500));
  for (const [row, value] of rows.entries()) {
    write(value, GAP, top + row * (height + GAP) + height / 2, left - 2 * GAP, 500);
    for (const column of columns.keys()) {
      const shown = picture(column, row);
      const [x, y] = [left + column * (width + GAP), top + row * (height + GAP)];
      if (shown === undefined) {
        context.strokeStyle = "#d5d1cb";
        context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
        continue;
      }
      const image = await fetchPicture(shown.url);
      const scale = Math.min(width / image.width, height / image.height);
      context.imageSmoothingQuality = "high";
      context.drawImage(image, x + (width - image.width * scale) / 2, y + (height - image.height * scale) / 2, image.width * scale, image.height * scale);
      image.close();
    }
  }
  return canvas.convertToBlob({ type: "image/png" });
}

async function firstOf(columns: number, rows: number, picture: (column: number, row: number) => Shown | undefined): Promise<{ readonly width: number; readonly height: number }> {
  for (let at = 0; at < columns * rows; at++) {
    const shown = picture(at % columns, Math.floor(at / columns));
    if (shown === undefined) continue;
    const image = await fetchPicture(shown.url);
    const size = { width: image.width, height: image.height };
    image.close();
    return size;
  }
  throw new Error("a sheet without pictures");
}

function widest(words: readonly string[], text: number): number {
  const context = new OffscreenCanvas(1, 1).getContext("2d")!;
  context.font = `500 ${text}px system-ui, sans-serif`;
  return Math.ceil(Math.max(...words.map((one) => context.measureText(one).width)));
}

function shortened(context: OffscreenCanvasRenderingContext2D, words: string, most: number): string {
  if (context.measureText(words).width <= most) return words;
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (context.measureText(`${words.slice(0, middle)}…`).width <= most) low = middle;
    else high = middle - 1;
  }
  return `${words.slice(0, low)}…`;
}
