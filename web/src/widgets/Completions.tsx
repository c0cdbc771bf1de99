import { useEffect, useState } from "react";
import { say } from "../canvas/text";
import { Popover } from "./Popover";
import type { Completion, WidgetServices } from "./services";
import { wordBefore } from "./weights";

interface CompletionsProps {
  readonly field: HTMLElement;
  readonly text: string;
  readonly caret: number;
  readonly complete: NonNullable<WidgetServices["complete"]>;
  readonly onChoose: (start: number, insert: string) => void;
  readonly onClose: () => void;
}

const LEAST = 2;
const MOST = 8;

/** Offers for the word being typed. The field keeps the focus: arrows choose, Enter or Tab takes. */
export function Completions({ field, text, caret, complete, onChoose, onClose }: CompletionsProps) {
  const { word, start } = wordBefore(text, caret);
  const [offers, setOffers] = useState<readonly Completion[]>([]);
  const [active, setActive] = useState(0);
  useEffect(() => {
    setActive(0);
    if (word.length < LEAST) {
      setOffers([]);
      return undefined;
    }
    const abort = new AbortController();
    complete(word, abort.signal).then((found) => !abort.signal.aborted && setOffers(found.slice(0, MOST)), () => undefined);
    return () => abort.abort();
  }, [word, complete]);
  useEffect(() => {
    if (offers.length === 0) return undefined;
    const key = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const chosen = offers[active];
      if (event.key === "ArrowDown") setActive((active + 1) % offers.length);
      else if (event.key === "ArrowUp") setActive((active + offers.length - 1) % offers.length);
      else if ((event.key === "Enter" || event.key === "Tab") && chosen !== undefined) onChoose(start, chosen.insert);
      else if (event.key === "Escape") onClose();
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    field.addEventListener("keydown", key, true);
    return () => field.removeEventListener("keydown", key, true);
  }, [field, offers, active, start, onChoose, onClose]);
  if (offers.length === 0) return null;
  return (
    <Popover anchor={field} onClose={onClose} className="completions">
      <div role="listbox" aria-label={say("widget.completions", "Suggestions")}>
        {offers.map((offer, n) => (
          <div key={offer.insert} role="option" aria-selected={n === active} className="choice" data-active={n === active ? "" : undefined}
            onPointerDown={(event) => {
              event.preventDefault();
              onChoose(start, offer.insert);
            }}>
            <span className="choice-label">{offer.label}</span>
            {offer.detail !== undefined && <span className="choice-detail">{offer.detail}</span>}
          </div>
        ))}
      </div>
    </Popover>
  );
}
