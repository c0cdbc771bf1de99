import { useRef, useState } from "react";
import { say } from "../canvas/text";
import { ComboWidget } from "./ComboWidget";
import type { WidgetProps } from "./services";

/** A picture of the input folder: chosen, dropped, pasted or uploaded. */
export function ImageWidget(props: WidgetProps) {
  const { spec, value, edit, label, tab, disabled, services } = props;
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const name = typeof value === "string" ? value : "";
  const url = name === "" ? undefined : services.imageUrl?.(name);

  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined || services.upload === undefined || disabled) return;
    setBusy(true);
    try {
      edit.set(await services.upload(file, spec));
    } catch (error) {
      services.problem?.(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div
      className="image-input" data-over={over ? "" : undefined} aria-busy={busy}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        const file = event.dataTransfer.files[0];
        if (file === undefined || !file.type.startsWith("image/")) return;
        event.preventDefault();
        event.stopPropagation();
        void take(file);
      }}
      onPaste={(event) => {
        const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
        if (file === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        void take(file);
      }}
    >
      <div className="image-row">
        {spec.choices === undefined ? <output className="raw">{name}</output> : <ComboWidget {...props} />}
        {services.pickFile !== undefined && (
          <button type="button" className="small" tabIndex={tab} disabled={disabled} aria-label={say("widget.pick", "Choose a file for {label}", { label })}
            title={say("widget.pick", "Choose a file for {label}", { label })} onClick={() => void services.pickFile?.(spec, name).then((chosen) => chosen !== undefined && edit.set(chosen))}>…</button>
        )}
        {services.upload !== undefined && (
          <button type="button" className="small" tabIndex={tab} disabled={disabled || busy} aria-label={say("widget.upload", "Upload a picture for {label}", { label })}
            title={say("widget.upload", "Upload a picture for {label}", { label })} onClick={() => chooser.current?.click()}>↥</button>
        )}
        <input ref={chooser} type="file" accept="image/*" hidden onChange={(event) => void take(event.currentTarget.files?.[0])} />
      </div>
      <div className="image-view">
        {url === undefined ? <span>{busy ? say("widget.uploading", "Uploading…") : say("widget.dropHere", "Drop or paste a picture")}</span> : <img src={url} alt={name} draggable={false} decoding="async" loading="lazy" />}
      </div>
    </div>
  );
}
