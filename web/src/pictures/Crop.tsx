import { useRef, useState, type KeyboardEvent } from "react";
import { upload } from "../client/files";
import { t } from "../i18n";
import { sayError } from "../shell/toasts";
import { setPicture, valueOf } from "./actions";
import { inside, ofRatio, pulled, RATIOS, ratioOf, type Handle } from "./crop";
import { fetchPicture, inputAddress, inputName, uploadMask } from "./files";
import type { Rect } from "./mask/pixels";
import type { ScreenOf } from "./PictureScreens";
import { isField, ScreenFrame } from "./ScreenFrame";
import { leaveScreen, type PictureInput } from "./screens";
import { placed, usePictureSize, useViewport } from "./view/useViewport";
import type { Size } from "./view/viewport";
import { stageKey, ZoomTools } from "./view/ZoomTools";

const HANDLES: readonly Handle[] = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

/** A part of a node's picture becomes its picture; the whole one stays where it is. */
export default function Crop({ screen }: ScreenOf<"crop">) {
  const value = valueOf(screen.target);
  const url = inputAddress(value, "rgb");
  const { size, failed } = usePictureSize(url);
  if (size !== undefined) return <Cutter target={screen.target} url={url} size={size} />;
  return (
    <ScreenFrame title={t("crop.title", "Crop")}>
      <div className="pic-stage">
        <p className="pic-note" role="status">{failed ? t("picture.failed", "This picture is not there any more, or is damaged.") : t("loading", "Loading")}</p>
      </div>
    </ScreenFrame>
  );
}

function Cutter({ target, url, size }: { readonly target: PictureInput; readonly url: string; readonly size: Size }) {
  const [rect, setRect] = useState<Rect>({ x: 0, y: 0, ...size });
  const [ratio, setRatio] = useState("free");
  const [step, setStep] = useState(8);
  const [busy, setBusy] = useState(false);
  const pull = useRef<{ readonly handle: Handle; readonly from: { readonly x: number; readonly y: number }; readonly rect: Rect } | undefined>(undefined);
  const stage = useViewport(size, {
    down: (event) => {
      const handle = (event.target as HTMLElement).dataset["handle"] as Handle | undefined;
      const at = stage.locate(event);
      pull.current = handle === undefined ? undefined : { handle, from: at, rect };
      return handle !== undefined;
    },
    move: (event) => {
      const from = pull.current;
      if (from === undefined) return;
      const at = stage.locate(event);
      setRect(pulled(from.rect, from.handle, at.x - from.from.x, at.y - from.from.y, size, ratioOf(ratio, size), step));
    },
    up: () => (pull.current = undefined),
  });
  const save = async (): Promise<void> => {
    setBusy(true);
    try {
      setPicture(target, await cutOut(valueOf(target), rect), t("step.crop", "Crop a picture"));
      leaveScreen();
    } catch (error) {
      setBusy(false);
      sayError(error);
    }
  };
  const key = (event: KeyboardEvent): boolean => {
    if (isField(event.target)) return false;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
    else return !event.ctrlKey && !event.altKey && stageKey(stage, event.key, event.shiftKey);
    return true;
  };
  /** Arrows on a handle pull it by a step, or by a pixel with Alt. */
  const nudge = (event: KeyboardEvent, handle: Handle): void => {
    const far = event.altKey ? 1 : Math.max(1, step);
    const by: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    const move = by[event.key];
    if (move === undefined || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    setRect(pulled(rect, handle, move[0], move[1], size, ratioOf(ratio, size), step));
  };
  const place = placed(stage.view, size);
  const { x, y, scale } = stage.view;
  return (
    <ScreenFrame
      title={t("crop.title", "Crop")}
      className="cropper"
      onKey={key}
      tools={
        <>
          <ZoomTools stage={stage} />
          <button className="button run" disabled={busy} title="Ctrl+Enter" onClick={() => void save()}>{t("crop.save", "Use this part")}</button>
        </>
      }
    >
      <div className="pic-main" data-side="">
        <div ref={stage.host} className="pic-stage">
          <img className="pic-placed" src={url} alt="" draggable={false} style={place} />
          <div className="crop-box" data-handle="move" role="group" tabIndex={0} aria-label={t("crop.part", "Part: {width} by {height} at {x}, {y}", rectWords(rect))} onKeyDown={(event) => event.target === event.currentTarget && nudge(event, "move")}
            style={{ left: x + rect.x * scale, top: y + rect.y * scale, width: rect.width * scale, height: rect.height * scale }}>
            {HANDLES.map((handle) => (
              <span key={handle} className="crop-handle" data-handle={handle} aria-hidden="true" />
            ))}
          </div>
        </div>
        <aside className="pic-side" aria-label={t("crop.settings", "Size of the part")}>
          <label className="paint-slide">
            <span>{t("crop.ratio", "Sides")}</span>
            <select className="field" value={ratio} onChange={(event) => { setRatio(event.target.value); setRect(ofRatio(rect, ratioOf(event.target.value, size), size, step)); }}>
              {Object.keys(RATIOS).map((name) => (
                <option key={name} value={name}>{name === "free" ? t("crop.free", "Free") : name === "own" ? t("crop.own", "As the picture") : name}</option>
              ))}
            </select>
          </label>
          <label className="paint-slide">
            <span>{t("crop.step", "Multiples of")}</span>
            <select className="field" value={step} onChange={(event) => setStep(Number(event.target.value))}>
              {[1, 8, 16, 32, 64].map((one) => <option key={one} value={one}>{one}</option>)}
            </select>
          </label>
          <Fields rect={rect} set={(next) => setRect(inside(next, size))} size={size} />
          <button className="button" onClick={() => setRect({ x: 0, y: 0, ...size })}>{t("crop.whole", "The whole picture")}</button>
        </aside>
      </div>
    </ScreenFrame>
  );
}

const rectWords = ({ width, height, x, y }: Rect) => ({ width, height, x, y });

function Fields({ rect, set, size }: { readonly rect: Rect; set(rect: Rect): void; readonly size: Size }) {
  const fields: readonly (readonly [keyof Rect, string, number])[] = [
    ["x", t("crop.x", "Left"), size.width - 1],
    ["y", t("crop.y", "Top"), size.height - 1],
    ["width", t("crop.width", "Width"), size.width],
    ["height", t("crop.height", "Height"), size.height],
  ];
  return (
    <div className="crop-fields">
      {fields.map(([name, label, most]) => (
        <label key={name}>
          <span>{label}</span>
          <input className="field" type="number" min={name === "x" || name === "y" ? 0 : 1} max={most} value={rect[name]} onChange={(event) => event.target.value !== "" && set({ ...rect, [name]: Math.round(Number(event.target.value)) })} />
        </label>
      ))}
    </div>
  );
}

/** Upload a part of an input's picture, its mask too where it has one; gives the name that the input takes. */
async function cutOut(value: string, rect: Rect): Promise<string> {
  const part = async (channel: "rgb" | "a"): Promise<OffscreenCanvas> => {
    const canvas = new OffscreenCanvas(rect.width, rect.height);
    canvas.getContext("2d")!.drawImage(await fetchPicture(inputAddress(value, channel)), -rect.x, -rect.y);
    return canvas;
  };
  const stem = (value.replace(/ \[\w+\]$/, "").split("/").at(-1) ?? "picture").replace(/\.[^.]+$/, "");
  const picture = await (await part("rgb")).convertToBlob({ type: "image/png" });
  const stored = inputName(await upload(new File([picture], `${stem}_crop.png`, { type: "image/png" })));
  const alpha = await part("a");
  const { data } = alpha.getContext("2d")!.getImageData(0, 0, rect.width, rect.height);
  const masked = data.some((one, at) => at % 4 === 3 && one < 255);
  return masked ? uploadMask(await alpha.convertToBlob({ type: "image/png" }), stored) : stored;
}
