import { memo, useMemo } from "react";
import { useView } from "../canvas/context";
import type { WidgetRow } from "../canvas/layout";
import { say } from "../canvas/text";
import type { GraphNode, Json } from "../document/types";
import { defaultOf } from "../document/specs";
import { ComboWidget } from "./ComboWidget";
import { ImageWidget } from "./ImageWidget";
import { NumberWidget } from "./NumberWidget";
import { SeedWidget } from "./SeedWidget";
import type { Edit, WidgetProps } from "./services";
import { ColourWidget, FileWidget, RawWidget, SliderWidget, ToggleWidget } from "./simple";
import { TextWidget } from "./TextWidget";

interface RowProps {
  readonly row: WidgetRow;
  readonly node: GraphNode;
  readonly tab: number;
  readonly linked: boolean;
  readonly readOnly: boolean;
  /** True where there may be no room for the whole name. */
  readonly long: boolean;
}

/** One widget in its place in a node: its name, its value, and how a change reaches the document. */
export const WidgetRowView = memo(
  function WidgetRowView({ row, node, tab, linked, readOnly, long }: RowProps) {
    const { stage, services } = useView();
    const { spec, kind, label, control } = row;
    const { document, graphId: graph } = stage;
    const editors = useMemo(() => {
      const words = say("canvas.change", "Change {label}", { label });
      const of = (input: string): Edit => ({
        set: (value) => document.apply({ do: "setValue", graph, id: node.id, input, value }, words),
        begin: () => document.begin(words),
        commit: () => document.commit(),
        cancel: () => document.cancel(),
      });
      return { value: of(spec.name), control: of(control ?? spec.name) };
    }, [document, graph, node.id, spec.name, control, label]);
    const value = node.values[spec.name] ?? defaultOf(spec);
    const props: WidgetProps = { spec, value, edit: editors.value, label, tab, disabled: readOnly || linked, services };
    const named = kind !== "multiline" && kind !== "image";
    return (
      <div className="widget" data-input={spec.name} data-kind={kind} data-linked={linked ? "" : undefined} style={{ top: row.y, height: row.height }}>
        {named && <span className="widget-name" data-long={long ? "" : undefined} title={spec.tooltip ?? label}>{label}</span>}
        {linked ? (
          <span className="widget-linked">{named ? "" : label} {say("widget.linked", "from link")}</span>
        ) : (
          <div className="widget-body" data-interactive="">
            <Body kind={kind} props={props} control={control === undefined ? undefined : node.values[control]} editControl={editors.control} />
          </div>
        )}
      </div>
    );
  },
  (a, b) =>
    a.row.y === b.row.y && a.row.height === b.row.height && a.row.spec === b.row.spec && a.tab === b.tab && a.linked === b.linked && a.readOnly === b.readOnly && a.long === b.long &&
    a.node.id === b.node.id && a.node.values[a.row.spec.name] === b.node.values[a.row.spec.name] &&
    a.row.label === b.row.label && a.node.values[a.row.control ?? ""] === b.node.values[b.row.control ?? ""],
);

/** Longer texts are shown by their beginning and not edited here: a field of so many letters stops the page. */
const LONGEST_TEXT = 500_000;

function Body({ kind, props, control, editControl }: { kind: WidgetRow["kind"]; props: WidgetProps; control: Json | undefined; editControl: Edit }) {
  if (typeof props.value === "string" && props.value.length > LONGEST_TEXT) return <RawWidget {...props} />;
  switch (kind) {
    case "number":
      return <NumberWidget {...props} />;
    case "slider":
      return <SliderWidget {...props} />;
    case "toggle":
      return <ToggleWidget {...props} />;
    case "combo":
      return <ComboWidget {...props} />;
    case "text":
    case "multiline":
      return <TextWidget {...props} multiline={kind === "multiline"} />;
    case "color":
      return <ColourWidget {...props} />;
    case "seed":
      return <SeedWidget {...props} control={control} editControl={editControl} />;
    case "image":
      return <ImageWidget {...props} />;
    case "file":
      return <FileWidget {...props} />;
    case "raw":
      return <RawWidget {...props} />;
  }
}
