import type { InputSpec, NodeSpec } from "../document/types";
import type { WidgetFacts } from "./manifest";

/** A node's description with the widget that an extension declares for one of its inputs. */
export function withWidget(spec: NodeSpec, widget: WidgetFacts): NodeSpec {
  const change = (input: InputSpec): InputSpec => {
    if (input.name !== widget.input || !input.widget) return input;
    const number = input.type === "INT" || input.type === "FLOAT";
    // A slider is only for numbers, many lines only for texts; what does not fit stays as the node has it.
    if (widget.as === "slider" && number) {
      // The node says what it takes: an extension may only narrow that.
      const min = Math.max(input.min ?? -Infinity, widget.min ?? -Infinity);
      const max = Math.min(input.max ?? Infinity, widget.max ?? Infinity);
      const { step = input.step } = widget;
      return { ...input, ...(Number.isFinite(min) ? { min } : {}), ...(Number.isFinite(max) ? { max } : {}), ...(step === undefined ? {} : { step }), options: { ...input.options, display: "slider" } };
    }
    if (widget.as === "colour" && (input.type === "INT" || input.type === "STRING")) return { ...input, options: { ...input.options, display: "color" } };
    if (widget.as === "multiline" && input.type === "STRING") return { ...input, multiline: true, options: { ...input.options, multiline: true } };
    return input;
  };
  return { ...spec, inputs: spec.inputs.map(change) };
}
