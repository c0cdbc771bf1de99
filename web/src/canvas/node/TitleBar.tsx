import { memo, useEffect, useRef } from "react";
import type { GraphNode } from "../../document/types";
import { useUi, useView } from "../context";
import { inkOn } from "../palette";
import type { NodeRun } from "../runView";
import { say } from "../text";

/** Short words for a time: 0.42 s, 12 s, 3:07. */
export function clock(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
}

export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ""}`;
}

interface TitleBarProps {
  readonly node: GraphNode;
  readonly title: string;
  readonly run: NodeRun | undefined;
  readonly unknown: boolean;
}

export const TitleBar = memo(TitleBarOf, (a, b) => {
  const [was, is] = [a.node, b.node];
  return (
    a.title === b.title && a.run === b.run && a.unknown === b.unknown && was.id === is.id && was.type === is.type && was.mode === is.mode &&
    was.color === is.color && was.pinned === is.pinned && was.collapsed === is.collapsed
  );
});

function TitleBarOf({ node, title, run, unknown }: TitleBarProps) {
  const renaming = useUi((ui) => ui.renaming === node.id);
  return (
    <div className="node-title" style={node.color === undefined ? undefined : { backgroundColor: node.color, color: inkOn(node.color) }} data-coloured={node.color === undefined ? undefined : ""}>
      {node.type !== "Reroute" && node.type !== "" && <span className="node-fold" aria-hidden="true">{node.collapsed === true ? "▸" : "▾"}</span>}
      {renaming ? <TitleField node={node} title={title} /> : <span className="node-name" dir="auto" title={title}>{title}</span>}
      {node.pinned === true && node.type !== "" && <span className="node-mark" role="img" aria-label={say("canvas.pinned", "Pinned")}>⌖</span>}
      {node.mode !== "always" && <span className="node-badge">{node.mode === "mute" ? say("canvas.mute", "Muted") : say("canvas.bypass", "Bypassed")}</span>}
      {unknown && <span className="node-badge">{say("canvas.unknown", "Unknown type")}</span>}
      <RunBadge run={run} />
      {run?.willRerun === true && <span className="node-rerun" role="img" aria-label={say("canvas.willRerun", "Runs again")} title={say("canvas.willRerun", "Runs again")} />}
      {run?.status === "running" && <Progress value={run.progress} label={title} />}
    </div>
  );
}

function RunBadge({ run }: { readonly run: NodeRun | undefined }) {
  if (run?.status === undefined || run.status === "running") return null;
  if (run.status === "queued") return <span className="node-badge">{say("canvas.queued", "Waiting")}</span>;
  if (run.status === "failed") return <span className="node-badge" data-kind="failed">{say("canvas.failed", "Failed")}</span>;
  if (run.status === "blocked") return <span className="node-badge">{say("canvas.blocked", "Blocked")}</span>;
  const bytes = run.bytes === undefined ? "" : ` · ${size(run.bytes)}`;
  if (run.status === "cached") {
    return <span className="node-badge" data-kind="cached" title={`${run.tier ?? ""}${bytes}`}>{say("canvas.cached", "Cached")}</span>;
  }
  return run.seconds === undefined ? null : <span className="node-badge" title={`${clock(run.seconds)}${bytes}`}>{clock(run.seconds)}</span>;
}

function Progress({ value, label }: { readonly value: number | undefined; readonly label: string }) {
  const known = value !== undefined && value > 0;
  return (
    <div
      className="node-progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.round(value * 100) : undefined}
      data-unknown={known ? undefined : ""}
    >
      <div style={{ transform: `scaleX(${known ? value : 0.3})` }} />
    </div>
  );
}

function TitleField({ node, title }: { readonly node: GraphNode; readonly title: string }) {
  const { stage } = useView();
  const field = useRef<HTMLInputElement>(null);
  const done = useRef(false);
  useEffect(() => {
    stage.mounts.hold(node.id, true);
    field.current?.focus();
    field.current?.select();
    return () => stage.mounts.hold(node.id, false);
  }, [stage, node.id]);
  const finish = (keep: boolean): void => {
    if (done.current) return;
    done.current = true;
    const text = field.current?.value.trim() ?? "";
    stage.ui.set({ renaming: undefined });
    if (keep && text !== title) {
      stage.document.apply({ do: "updateNode", graph: stage.graphId, id: node.id, set: { title: text === "" ? undefined : text } }, say("canvas.rename", "Rename node"));
    }
    stage.parts.host.focus({ preventScroll: true });
  };
  return (
    <input
      ref={field}
      className="node-name"
      data-interactive=""
      dir="auto"
      defaultValue={title}
      aria-label={say("canvas.titleOf", "Title of the node")}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
      }}
    />
  );
}
