import { memo, useEffect, useRef, type CSSProperties } from "react";
import type { GraphNode, NodeId, Slot } from "../../document/types";
import { callPort, nameOfPort } from "../borderPorts";
import { useUi, useView } from "../context";
import type { PortRef } from "../hit";
import type { NodeLayout } from "../layout";
import type { Palette } from "../palette";
import { mayOverflow, say } from "../text";

interface PortsProps {
  readonly node: NodeId;
  readonly inputs: GraphNode["inputs"];
  readonly outputs: GraphNode["outputs"];
  readonly small: boolean;
  readonly layout: NodeLayout;
  readonly linked: string;
  readonly tab: number;
}

/** All ports of a node, drawn again only when they change and not with every value, with their names. The pointer finds them by geometry; the keyboard by these buttons. */
export const Ports = memo(function Ports({ node, inputs, outputs, small, layout, linked, tab }: PortsProps) {
  const sockets = inputs.some((slot) => slot.widget === undefined);
  const half = sockets && outputs.length > 0;
  const room = half ? layout.width / 2 - 24 : layout.width - 48;
  return (
    <>
      {inputs.map((slot, index) => (
        <Port key={`i${index}`} node={node} side="input" index={index} slot={slot} y={layout.inputY[index] ?? 0} linked={linked.includes(`i${index};`)} tab={tab} named={!small && slot.widget === undefined} half={half} room={room} />
      ))}
      {outputs.map((slot, index) => (
        <Port key={`o${index}`} node={node} side="output" index={index} slot={slot} y={layout.outputY[index] ?? 0} linked={linked.includes(`o${index};`)} tab={tab} named={!small} half={half} room={room} />
      ))}
      {layout.loose.map(({ spec, y }, n) => (
        <Port
          key={`w${spec.name}`} node={node} side="input" index={-1 - n} slot={{ name: spec.name, type: spec.type, ...(spec.widget && { widget: spec.name }) }}
          y={y} linked={false} tab={tab} named={!spec.widget} half={half} room={room}
        />
      ))}
    </>
  );
});

/** Both pictures of a port: a free one is filled while a link that fits is dragged. */
function dotStyle(palette: Palette, type: string, linked: boolean): CSSProperties {
  const full = palette.dot(type, true);
  return { "--dot": linked ? full : palette.dot(type, false), "--dot-full": full } as CSSProperties;
}

interface PortProps {
  readonly node: NodeId;
  readonly side: "input" | "output";
  readonly index: number;
  readonly slot: Slot;
  readonly y: number;
  readonly linked: boolean;
  readonly tab: number;
  readonly named: boolean;
  /** True when names stand on both sides and share the width. */
  readonly half: boolean;
  /** Pixels that there are for the name. */
  readonly room: number;
}

const Port = memo(function Port({ node, side, index, slot, y, linked, tab, named, half, room }: PortProps) {
  const { stage } = useView();
  const name = slot.label ?? slot.name;
  const words = { name, type: slot.type, state: linked ? say("canvas.portLinked", "linked") : say("canvas.portFree", "free") };
  const label = side === "input" ? say("canvas.input", "Input {name}, {type}, {state}", words) : say("canvas.output", "Output {name}, {type}, {state}", words);
  const quiet = slot.widget !== undefined && !linked;
  const renaming = useUi((ui) => ui.renamingPort?.node === node && ui.renamingPort.side === side && ui.renamingPort.index === index);
  if (renaming) return <PortField port={{ node, side, index }} y={y} />;
  return (
    <button
      type="button"
      className="port"
      tabIndex={tab}
      data-side={side}
      data-port={`${side}${index}`}
      data-half={half ? "" : undefined}
      data-quiet={quiet ? "" : undefined}
      aria-label={label}
      title={`${name} · ${slot.type}`}
      style={{ top: y - 12 }}
    >
      <span className="port-dot" data-linked={linked ? "" : undefined} style={dotStyle(stage.palette, slot.type, linked)} aria-hidden="true" />
      {named && <span className="port-name" dir="auto" data-long={mayOverflow(name, room) ? "" : undefined}>{name}</span>}
    </button>
  );
});

/** The name of a subgraph's port while it is edited. */
function PortField({ port, y }: { readonly port: PortRef; readonly y: number }) {
  const { stage } = useView();
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const finish = (keep: boolean): void => {
    if (done.current) return;
    done.current = true;
    const text = field.current?.value ?? "";
    stage.ui.set({ renamingPort: undefined });
    if (keep) callPort(stage, port, text);
    stage.parts.host.focus({ preventScroll: true });
  };
  return (
    <input
      ref={field}
      className="port-field"
      data-interactive=""
      dir="auto"
      defaultValue={nameOfPort(stage, port)}
      aria-label={say("canvas.nameOfPort", "Name of the port")}
      style={{ top: y - 12 }}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
      }}
    />
  );
}
