/** What is seen while a large file is read: how far it is, and a way out. The open documents stay as they are. */
import { useEffect, useRef } from "react";
import { createRoot } from "react-dom/client";
import { useStore } from "../client/store";
import { t } from "../i18n";
import { opening, type Opening } from "./opening";

let mounted = false;

/** Puts the bar where the document will be, once. */
export function mountOpening(): void {
  const place = document.querySelector(".main");
  if (mounted || place === null) return;
  mounted = true;
  createRoot(place.appendChild(document.createElement("div"))).render(<OpeningBar />);
}

function OpeningBar() {
  const now = useStore(opening);
  return now === undefined ? null : <Bar now={now} />;
}

function Bar({ now }: { readonly now: Opening }) {
  const latest = useRef(now);
  latest.current = now;
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      // It ends the reading and nothing else that the key does.
      event.preventDefault();
      event.stopImmediatePropagation();
      latest.current.cancel();
    };
    window.addEventListener("keydown", key, true);
    return () => window.removeEventListener("keydown", key, true);
  }, []);
  const percent = Math.round(now.part * 100);
  const label = t("opening.reading", "Opening {name}", { name: now.name });
  return (
    <div className="floating" role="status" style={BOX}>
      <div style={{ minWidth: 0 }}>
        <p style={NAME}>{label}</p>
        <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={percent} style={GROOVE}>
          <div style={{ ...FILL, transform: `scaleX(${now.part})` }} />
        </div>
      </div>
      <button className="button tiny" onClick={() => now.cancel()}>
        {t("cancel", "Cancel")}
      </button>
    </div>
  );
}

const BOX = {
  top: "50%", left: "50%", translate: "-50% -50%", display: "grid", gridTemplateColumns: "minmax(0, 1fr) auto", alignItems: "center",
  gap: "var(--space-4)", width: "min(380px, calc(100% - 32px))", padding: "var(--space-4)",
} as const;
const NAME = { margin: "0 0 8px", overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" } as const;
const GROOVE = { height: 3, overflow: "hidden", borderRadius: 2, background: "var(--surface-3)" } as const;
const FILL = { height: "100%", background: "var(--accent)", transformOrigin: "0 0", transition: "transform 120ms linear" } as const;
