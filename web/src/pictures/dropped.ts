/** Reading what was dropped, and where. */
import type { GraphNode } from "../document/types";
import type { Shown } from "./screens";

/** Heights of nodes whose file leaves them to their content are not in the document. */
const GUESSED_HEIGHT = 340;
const TITLE = 36;

export function shownIn(data: string): Shown | undefined {
  try {
    const { url, name } = JSON.parse(data) as Partial<Shown>;
    // Only pictures of this server: what is dropped may come from anywhere.
    return typeof url === "string" && typeof name === "string" && url.startsWith("/view?") ? { url, name } : undefined;
  } catch {
    return undefined;
  }
}

/** The topmost node at a point of the graph. */
export function nodeAt(nodes: Iterable<GraphNode>, x: number, y: number): GraphNode | undefined {
  let found: GraphNode | undefined;
  for (const node of nodes) {
    const height = node.collapsed ? TITLE : (node.height ?? GUESSED_HEIGHT);
    if (x >= node.x && x <= node.x + node.width && y >= node.y && y <= node.y + height) found = node;
  }
  return found;
}
