import { useCallback } from "react";
import { ChoiceList } from "../widgets/ChoiceList";
import { Popover } from "../widgets/Popover";
import { useUi, useView } from "./context";
import { partners, slotOf } from "./edit";
import { connect, unlink } from "./gestureLinks";
import { linksAt, portPoint, type PortRef } from "./hit";
import { say } from "./text";

const NEW = "new";
const OFF = "off";

/** Links without a mouse: every port that the chosen one fits, as a list to search. */
export function PartnerList() {
  const { stage, actions } = useView();
  const branch = useUi((ui) => ui.branching);
  const port = useUi((ui) => ui.branching?.port ?? ui.linkingPort);
  const close = useCallback(() => {
    stage.ui.set({ linkingPort: undefined, branching: undefined });
    stage.parts.host.focus({ preventScroll: true });
  }, [stage]);
  if (port === undefined) return null;
  const at = branch?.at ?? portPoint(stage.scene, port);
  const source = slotOf(stage.scene, port);
  if (at === undefined || source === undefined) return null;
  const box = stage.parts.host.getBoundingClientRect();
  const screen = stage.camera.toScreen(at.x, at.y);
  const anchor = { x: box.left + screen.x, y: box.top + screen.y };
  const found = partners(stage.scene, port);
  const key = (one: PortRef): string => `${one.node} ${one.side} ${one.index}`;
  const links = branch === undefined ? linksAt(stage.scene, port) : [];
  const choices = [
    ...found.map((one) => {
      const slot = slotOf(stage.scene, one);
      return { key: key(one), label: `${stage.scene.titles[stage.scene.index.get(one.node) ?? -1] ?? ""} · ${slot?.label ?? slot?.name ?? ""}`, detail: slot?.type ?? "" };
    }),
    { key: NEW, label: say("canvas.newNode", "New node…") },
    ...(links.length > 0 ? [{ key: OFF, label: say("canvas.unlinkAll", "Remove links") }] : []),
  ];
  const label = say("canvas.partners", "Ports that fit {name}", { name: source.name });
  return (
    <Popover anchor={anchor} onClose={close} label={label}>
      <ChoiceList
        label={label}
        choices={choices}
        onChoose={(chosen) => {
          close();
          if (chosen === NEW) return actions().onOpenSearch({ x: at.x + (port.side === "output" ? 120 : -120), y: at.y }, anchor, { port, slot: source, way: branch?.way });
          if (chosen === OFF) return unlink(stage, links.map((link) => link.id));
          const partner = found.find((one) => key(one) === chosen);
          if (partner !== undefined) connect(stage, port, partner, branch?.way);
        }}
      />
    </Popover>
  );
}
