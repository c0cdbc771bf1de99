import { t } from "../../i18n";
import type { IconName } from "../../shell/icons";

export type Tool = "brush" | "eraser" | "flood" | "rectangle" | "ellipse" | "lasso" | "hand";
export type Look = "red" | "alone" | "hole";

export interface Settings {
  readonly tool: Tool;
  /** Shapes and fills take from the mask instead of adding to it. */
  readonly erase: boolean;
  readonly size: number;
  readonly hardness: number;
  readonly opacity: number;
  readonly tolerance: number;
  /** Pressure of a pen changes the size of the brush. */
  readonly pressure: boolean;
  readonly feather: number;
  readonly look: Look;
}

export const TOOLS: readonly { readonly id: Tool; readonly key: string; readonly icon: IconName; readonly name: () => string }[] = [
  { id: "brush", key: "b", icon: "brush", name: () => t("mask.brush", "Brush") },
  { id: "eraser", key: "e", icon: "eraser", name: () => t("mask.eraser", "Eraser") },
  { id: "flood", key: "g", icon: "bucket", name: () => t("mask.flood", "Fill an area of one colour") },
  { id: "rectangle", key: "r", icon: "rectangle", name: () => t("mask.rectangle", "Rectangle") },
  { id: "ellipse", key: "o", icon: "ellipse", name: () => t("mask.ellipse", "Ellipse") },
  { id: "lasso", key: "l", icon: "lasso", name: () => t("mask.lasso", "Lasso") },
  { id: "hand", key: "h", icon: "hand", name: () => t("mask.hand", "Move the picture") },
];

export const isShape = (tool: Tool): tool is "rectangle" | "ellipse" | "lasso" => tool === "rectangle" || tool === "ellipse" || tool === "lasso";

export function firstSettings(width: number, height: number): Settings {
  const size = Math.max(4, Math.round(Math.min(width, height) / 8));
  return { tool: "brush", erase: false, size, hardness: 0.8, opacity: 1, tolerance: 24, pressure: true, feather: Math.max(2, Math.round(size / 4)), look: "red" };
}

/** X: what adds takes away, and the other way round. */
export function swapped(settings: Settings): Settings {
  if (settings.tool === "brush") return { ...settings, tool: "eraser", erase: true };
  if (settings.tool === "eraser") return { ...settings, tool: "brush", erase: false };
  return { ...settings, erase: !settings.erase };
}

export const chosenTool = (settings: Settings, tool: Tool): Settings => ({ ...settings, tool, erase: tool === "eraser" ? true : tool === "brush" ? false : settings.erase });

/** Steps of about a tenth, at least a pixel. */
export function resized(size: number, by: 1 | -1): number {
  return Math.min(1000, Math.max(1, size + by * Math.max(1, Math.round(size / 10))));
}

/** A mouse has no pressure (0.5 while a button is down); a pen that barely touches still leaves a mark. */
export function pressureOf(event: { readonly pointerType: string; readonly pressure: number }, counts: boolean): number {
  return counts && event.pointerType === "pen" ? Math.max(0.05, event.pressure) : 1;
}
