import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import { useStore } from "../../client/store";
import { t } from "../../i18n";
import { Popover } from "../controls/Popover";
import { Icon } from "../icons";
import type { Tab } from "../workspace";
import { estimateOf, followMemory, type Estimate } from "./estimate";
import { gigabytes, whole } from "./figures";

const EstimateSheet = lazy(() => import("./EstimateSheet"));

/** Beside Run: what memory the workflow takes at most, and whether it fits. Silent where nothing is known. */
export function EstimateChip({ tab }: { readonly tab: Tab }) {
  const estimate = useStore(estimateOf(tab));
  const [anchor, setAnchor] = useState<Element>();
  const close = useCallback(() => setAnchor(undefined), []);
  useEffect(() => followMemory(tab), [tab]);
  if (estimate === undefined) return null;
  const plan = "plan" in estimate ? estimate.plan : undefined;
  const words = wordsOf(estimate);
  return (
    <>
      <button
        className={`estimate ${plan && !plan.fits ? "wrong" : ""}`}
        data-old={("old" in estimate && estimate.old) || undefined}
        aria-expanded={anchor !== undefined}
        title={words}
        onClick={(event) => setAnchor(anchor ? undefined : event.currentTarget)}
      >
        <Icon name="memory" />
        <span className="hidden-label">
          {t("estimate", "Memory of a run")}: {!plan && words}
        </span>
        {plan && <span>{shortOf(estimate)}</span>}
      </button>
      {anchor && (
        <Popover label={t("estimate", "Memory of a run")} anchor={anchor} close={close}>
          <Suspense fallback={<p className="quiet">{words}</p>}>
            <EstimateSheet tab={tab} estimate={estimate} words={words} />
          </Suspense>
        </Popover>
      )}
    </>
  );
}

function wordsOf(estimate: Estimate): string {
  if (!("plan" in estimate)) return estimate.why;
  const { plan } = estimate;
  const values = { most: gigabytes(whole(plan)), card: gigabytes(plan.card.vram_bytes) };
  return plan.fits ? t("estimate.fits", "About {most} at most; fits in {card}", values) : t("estimate.large", "Needs about {most}; a card of {card} is too small", values);
}

function shortOf(estimate: Estimate): string {
  if (!("plan" in estimate)) return "";
  const { plan } = estimate;
  const values = { most: gigabytes(whole(plan)), card: gigabytes(plan.card.vram_bytes) };
  return plan.fits ? t("estimate.fits.short", "{most} of {card}", values) : t("estimate.large.short", "{most} needed, {card} there", values);
}
