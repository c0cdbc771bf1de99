import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { useStore } from "../../client/store";
import type { Command } from "../../document/types";
import { t } from "../../i18n";
import { Icon } from "../../shell/icons";
import { sayError } from "../../shell/toasts";
import { tabOf, valueOf } from "../actions";
import { uploadMask } from "../files";
import type { ScreenOf } from "../PictureScreens";
import { isField, ScreenFrame } from "../ScreenFrame";
import { leaveScreen, type PictureInput } from "../screens";
import type { Stage } from "../view/useViewport";
import { stageKey, ZoomTools } from "../view/ZoomTools";
import { MaskCanvas } from "./MaskCanvas";
import { Painting } from "./painting";
import { channelOf, maskBlob, readSource, type MaskSource } from "./source";
import { chosenTool, firstSettings, resized, swapped, TOOLS, type Settings } from "./tools";
import { ToolBar, ToolPanel } from "./ToolPanel";

interface Ready {
  readonly source: MaskSource;
  readonly painting: Painting;
}

/** A mask painted over the picture of a node, kept in the alpha of a copy of it. */
export default function MaskEditor({ screen }: ScreenOf<"mask">) {
  const { target } = screen;
  const [ready, setReady] = useState<Ready>();
  const [failed, setFailed] = useState("");
  useEffect(() => {
    let gone = false;
    readSource(target).then(
      (source) => {
        const name = (number: number): string => t("mask.layer", "Layer {number}", { number });
        if (!gone) setReady({ source, painting: new Painting(source.width, source.height, source.mask, name) });
      },
      (error: unknown) => !gone && setFailed(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      gone = true;
    };
  }, [target]);
  if (ready !== undefined) return <Editor target={target} {...ready} />;
  return (
    <ScreenFrame title={t("mask.title", "Paint a mask")}>
      <div className="pic-stage">
        <p className="pic-note" role={failed === "" ? "status" : "alert"}>{failed === "" ? t("loading", "Loading") : t("mask.failed", "The picture cannot be read: {why}", { why: failed })}</p>
      </div>
    </ScreenFrame>
  );
}

function Editor({ target, source, painting }: Ready & { readonly target: PictureInput }) {
  const [settings, set] = useState(() => firstSettings(source.width, source.height));
  const [stage, setStage] = useState<Stage>();
  const [moving, setMoving] = useState(false);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const { canUndo, canRedo } = useStore(painting.state);
  const [voice, setVoice] = useState("");
  // A second Escape goes back to painting: nothing is thrown away by pressing too often.
  const leave = (): void => (painting.changed ? setAsking(!asking) : leaveScreen());
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      await keep(target, painting);
      leaveScreen();
    } catch (error) {
      setBusy(false);
      sayError(error);
    }
  };
  const key = useKeys({ painting, settings, set, stage, save: () => void save(), say: setVoice, setMoving });
  useEffect(() => {
    const up = (event: globalThis.KeyboardEvent): void => {
      if (event.key === " ") setMoving(false);
    };
    window.addEventListener("keyup", up, true);
    return () => window.removeEventListener("keyup", up, true);
  }, []);
  return (
    <ScreenFrame
      title={t("mask.title", "Paint a mask")}
      className="painter"
      onKey={key}
      onLeave={leave}
      tools={
        <>
          {stage && <ZoomTools stage={stage} />}
          <button className="button icon" disabled={!canUndo} aria-label={t("undo", "Undo")} title="Ctrl+Z" onClick={() => painting.undo()}><Icon name="undo" /></button>
          <button className="button icon" disabled={!canRedo} aria-label={t("redo", "Redo")} title="Ctrl+Y" onClick={() => painting.redo()}><Icon name="redo" /></button>
          <button className="button run" disabled={busy} title="Ctrl+Enter" onClick={() => void save()}>{t("mask.save", "Use this mask")}</button>
        </>
      }
    >
      {asking && (
        <div className="pic-ask" role="alert">
          <span className="grow">{t("mask.unsaved", "The mask is not in use yet.")}</span>
          <button className="button" autoFocus onClick={() => setAsking(false)}>{t("mask.goOn", "Go on painting")}</button>
          <button className="button" onClick={leaveScreen}>{t("mask.throwAway", "Throw it away")}</button>
        </div>
      )}
      <div className="pic-main" data-side="">
        <div className="paint-body">
          <ToolBar painting={painting} settings={settings} set={set} />
          <MaskCanvas source={source} painting={painting} settings={settings} moving={moving} onStage={setStage} />
        </div>
        <aside className="pic-side" aria-label={t("mask.settings", "Settings of the tool")}>
          <ToolPanel painting={painting} settings={settings} set={set} />
        </aside>
      </div>
      <div className="hidden-label" role="status">{voice}</div>
    </ScreenFrame>
  );
}

/** Store the mask, and let the node take it. */
async function keep(target: PictureInput, painting: Painting): Promise<void> {
  const { mask } = painting;
  const value = await uploadMask(await maskBlob(mask.data, mask.width, mask.height), valueOf(target));
  const { graph, node: id, input } = target;
  const commands: Command[] = [{ do: "setValue", graph, id, input, value }];
  // A node that gives one channel has to give the one that the mask is in.
  if (channelOf(target) !== undefined) commands.push({ do: "setValue", graph, id, input: "channel", value: "alpha" });
  tabOf(target.tab)?.document.apply({ do: "several", commands }, t("step.mask", "Paint a mask"));
}

interface KeyParts {
  readonly painting: Painting;
  readonly settings: Settings;
  set(settings: Settings): void;
  readonly stage: Stage | undefined;
  save(): void;
  say(text: string): void;
  setMoving(moving: boolean): void;
}

function useKeys(parts: KeyParts): (event: KeyboardEvent) => boolean {
  const latest = useRef(parts);
  latest.current = parts;
  return (event) => {
    const { painting, settings, set, stage, save, say, setMoving } = latest.current;
    if (isField(event.target) || event.altKey) return false;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key === "z" && !event.shiftKey) painting.undo();
      else if (key === "y" || key === "z") painting.redo();
      else if (key === "i") painting.invert();
      else if (key === "Enter" || key === "s") save();
      else return false;
      return true;
    }
    const tool = TOOLS.find((one) => one.key === key);
    const hardness = (by: number): void => set({ ...settings, hardness: Math.min(1, Math.max(0, Math.round((settings.hardness + by) * 10) / 10)) });
    const size = (by: 1 | -1): void => {
      const next = resized(settings.size, by);
      set({ ...settings, size: next });
      say(t("mask.sizeIs", "Size {size}", { size: next }));
    };
    if (tool !== undefined) {
      set(chosenTool(settings, tool.id));
      say(tool.name());
    } else if (key === "x") set(swapped(settings));
    else if (event.code === "BracketLeft" && event.shiftKey) hardness(-0.1);
    else if (event.code === "BracketRight" && event.shiftKey) hardness(0.1);
    else if (key === "[" || event.code === "BracketLeft") size(-1);
    else if (key === "]" || event.code === "BracketRight") size(1);
    else if (key === "{") hardness(-0.1);
    else if (key === "}") hardness(0.1);
    else if (key === "Delete" || key === "Backspace") painting.clear();
    else if (key === " " && !(event.target instanceof HTMLButtonElement) && !(event.target instanceof HTMLInputElement)) setMoving(true);
    else return stage !== undefined && stageKey(stage, event.key, event.shiftKey);
    return true;
  };
}
