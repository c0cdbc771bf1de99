/** Colour and shape of socket types: two signs, so that a type is told without seeing colours. */

export type Shape = "circle" | "square" | "diamond" | "triangle" | "hexagon" | "pill" | "ring" | "drop" | "cross";

const SHAPES: Readonly<Record<string, Shape>> = {
  MODEL: "diamond",
  CLIP: "triangle",
  VAE: "hexagon",
  CONDITIONING: "circle",
  LATENT: "square",
  IMAGE: "pill",
  MASK: "drop",
  CONTROL_NET: "cross",
  "*": "ring",
};
const QUIET = new Set(["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "NUMBER"]);
const SPARE: readonly Shape[] = ["circle", "square", "diamond", "triangle", "hexagon", "drop"];

/** Outlines in a box from -5 to 5, as SVG path data (canvas takes the same). */
export const OUTLINES: Readonly<Record<Shape, string>> = {
  circle: "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
  square: "M-4.4-4.4H4.4V4.4H-4.4Z",
  diamond: "M0-5.6L5.6 0 0 5.6-5.6 0Z",
  triangle: "M-4.4-5.2L5.4 0-4.4 5.2Z",
  hexagon: "M-2.8-5H2.8L5.6 0 2.8 5H-2.8L-5.6 0Z",
  pill: "M-3-4H3A4 4 0 0 1 3 4H-3A4 4 0 0 1-3-4Z",
  ring: "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0ZM2.4 0A2.4 2.4 0 1 0-2.4 0A2.4 2.4 0 1 0 2.4 0Z",
  drop: "M-5 0A5 5 0 0 1 0-5H5V0A5 5 0 0 1-5 0Z",
  cross: "M-1.9-5H1.9V-1.9H5V1.9H1.9V5H-1.9V1.9H-5V-1.9H-1.9Z",
};

function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}

function plain(type: string): string {
  return type.split(",")[0]?.trim() ?? "*";
}

export function shapeOf(type: string): Shape {
  const first = plain(type);
  if (QUIET.has(first)) return "circle";
  return SHAPES[first] ?? SPARE[hash(first) % SPARE.length] ?? "circle";
}

/** Name of the colour token of a type. */
export function tokenOf(type: string): string {
  return `--socket-${plain(type).replace(/[^A-Za-z0-9_-]/g, "") || "any"}`;
}

/** Colour of a type that has no token: its own hue, of the same lightness as the others. */
export function ownColour(type: string): string {
  if (type === "*" || QUIET.has(plain(type))) return "var(--text-quiet)";
  return `hsl(${hash(plain(type)) % 360} 38% 60%)`;
}

/** CSS colour of a type. */
export function socketColour(type: string): string {
  return `var(${tokenOf(type)}, ${ownColour(type)})`;
}
