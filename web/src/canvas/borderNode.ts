import { INPUTS, OUTPUTS, type Borders, type Graph, type GraphNode } from "../document/types";
import { say } from "./text";

export const BORDER_WIDTH = 160;

/** A border as what it looks like: a node with the ports of the subgraph on its inner side. */
export function borderNode(graph: Graph, side: keyof Borders, at: { readonly x: number; readonly y: number }): GraphNode {
  const inputs = side === "inputs";
  return {
    id: inputs ? INPUTS : OUTPUTS, type: "", mode: "always", values: {}, inputs: inputs ? [] : graph.outputs, outputs: inputs ? graph.inputs : [],
    x: at.x, y: at.y, width: BORDER_WIDTH, height: null, title: inputs ? say("canvas.bordersIn", "Inputs") : say("canvas.bordersOut", "Outputs"),
  };
}
