import { useEffect, useRef } from "react";
import { useUi, useView } from "./context";
import { say } from "./text";

/** The field over a group's title while it is edited. */
export function GroupTitle() {
  const { stage } = useView();
  const id = useUi((ui) => ui.renamingGroup);
  const field = useRef<HTMLInputElement>(null);
  const group = id === undefined ? undefined : stage.document.graph(stage.graphId).groups.get(id);
  useEffect(() => {
    if (group === undefined) return;
    field.current?.focus();
    field.current?.select();
  }, [group]);
  if (group === undefined) return null;
  const finish = (keep: boolean): void => {
    if (stage.ui.state.renamingGroup === undefined) return;
    const title = field.current?.value.trim() ?? group.title;
    stage.ui.set({ renamingGroup: undefined });
    if (keep && title !== group.title) {
      stage.document.apply({ do: "putGroups", graph: stage.graphId, groups: [{ ...group, title }] }, say("canvas.renameGroup", "Rename group"));
    }
    stage.parts.host.focus({ preventScroll: true });
  };
  return (
    <input
      ref={field} className="group-title" data-interactive="" dir="auto" defaultValue={group.title} aria-label={say("canvas.groupTitle", "Title of the group")}
      style={{ left: group.x + 6, top: group.y + 4, width: Math.min(group.width - 12, 320) }}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
      }}
    />
  );
}
