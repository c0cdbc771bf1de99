import { memo, useCallback } from "react";
import { INPUTS, OUTPUTS, type NodeId } from "../../document/types";
import { WidgetRowView } from "../../widgets/WidgetRow";
import { useGeneration, useLinked, useNode, useRun, useSelected, useUi, useView } from "../context";
import { isSmall } from "../layout";
import { mayOverflow } from "../text";
import { Ports } from "./Ports";
import { Pictures } from "./Pictures";
import { Below } from "./Below";
import { TitleBar } from "./TitleBar";

/** One node near enough to be read: its own subscription, its own drawing. */
export const NodeBody = memo(function NodeBody({ id }: { readonly id: NodeId }) {
  const { stage, actions } = useView();
  const node = useNode(id);
  const run = useRun(id);
  const selected = useSelected(id);
  const linked = useLinked(id);
  useGeneration();
  const entered = useUi((ui) => ui.entered === id);
  const faded = useUi((ui) => ui.traced !== undefined && !ui.traced.has(id));
  const register = useCallback((element: HTMLElement | null) => stage.mounts.register(id, element), [stage, id]);
  if (node === undefined) return null;
  const border = id === INPUTS || id === OUTPUTS;
  const i = stage.scene.index.get(id);
  const layout = i === undefined ? undefined : stage.scene.layouts[i];
  const unknown = !border && !stage.specs.knows(node);
  if (layout === undefined) return null;
  const tab = entered ? 0 : -1;
  const title = stage.scene.titles[i ?? -1] ?? node.type;
  return (
    <div
      ref={register}
      className="node"
      role="group"
      aria-label={title}
      data-node={id}
      data-selected={selected & 1 ? "" : undefined}
      data-focused={selected & 2 ? "" : undefined}
      data-mode={node.mode}
      data-status={run?.status}
      data-faded={faded ? "" : undefined}
      data-unknown={unknown ? "" : undefined}
      data-border={border ? "" : undefined}
      data-subgraph={stage.specs.isSubgraph(node) ? "" : undefined}
    >
      <TitleBar node={node} title={title} run={run} unknown={unknown} />
      <Ports node={id} inputs={node.inputs} outputs={node.outputs} small={isSmall(node)} layout={layout} linked={linked} tab={tab} />
      {node.collapsed !== true && (
        <>
          {layout.widgets.map((row) => (
            <WidgetRowView
              key={row.spec.name}
              row={row}
              node={node}
              tab={tab}
              linked={row.slot >= 0 && linked.includes(`i${row.slot};`)}
              readOnly={unknown || actions().readOnly}
              long={mayOverflow(row.label, 0.48 * (layout.width - 24))}
            />
          ))}
          {(run?.images !== undefined || run?.preview !== undefined) && <Pictures id={id} run={run} tab={tab} top={layout.contentHeight} />}
        </>
      )}
      <Below id={id} run={run} tab={tab} />
    </div>
  );
});
