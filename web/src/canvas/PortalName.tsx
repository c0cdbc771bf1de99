import { useEffect, useRef } from "react";
import { namePortal } from "../document/operations/links";
import { useUi, useView } from "./context";
import { say } from "./text";

/** The field over the first tag of a portal while its name is edited. */
export function PortalName() {
  const { stage } = useView();
  const id = useUi((ui) => ui.renamingLink);
  const field = useRef<HTMLInputElement>(null);
  const link = id === undefined ? undefined : stage.document.graph(stage.graphId).links.get(id);
  useEffect(() => {
    if (link === undefined) return;
    field.current?.focus();
    field.current?.select();
  }, [link]);
  if (link?.portal === undefined) return null;
  const { links } = stage.scene;
  const i = links.index.get(link.id) ?? -1;
  const finish = (keep: boolean): void => {
    if (stage.ui.state.renamingLink === undefined) return;
    const name = field.current?.value.trim() ?? "";
    stage.ui.set({ renamingLink: undefined });
    if (keep && name !== "" && name !== link.portal) {
      stage.document.apply(namePortal(stage.document.graph(stage.graphId), link.id, name), say("canvas.namePortal", "Name a portal"));
    }
    stage.parts.host.focus({ preventScroll: true });
  };
  return (
    <input
      ref={field} className="port-field" data-interactive="" dir="auto" defaultValue={link.portal} aria-label={say("canvas.portalName", "Name of the portal")}
      style={{ left: (links.x1[i] ?? 0) + 10, top: (links.y1[i] ?? 0) - 12, width: 160 }}
      onBlur={() => finish(true)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") finish(true);
        if (event.key === "Escape") finish(false);
      }}
    />
  );
}
