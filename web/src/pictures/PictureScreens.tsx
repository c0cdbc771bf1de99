import { lazy, Suspense, type ComponentType } from "react";
import { useStore } from "../client/store";
import { screens, type Screen } from "./screens";

const body = {
  viewer: lazy(() => import("./Viewer")),
  gallery: lazy(() => import("./gallery/GalleryScreen")),
  compare: lazy(() => import("./Compare")),
  mask: lazy(() => import("./mask/MaskEditor")),
  crop: lazy(() => import("./Crop")),
  sweep: lazy(() => import("./sheet/SweepDialog")),
  sheet: lazy(() => import("./sheet/JobSheet")),
  sheets: lazy(() => import("./sheet/SheetList")),
  pictureSheet: lazy(() => import("./sheet/PictureSheet")),
} as const;

/** The screen for pictures that is open, if one is; each is fetched when it is first needed. */
export function PictureScreens() {
  const open = useStore(screens).at(-1);
  if (open === undefined) return null;
  const Body = body[open.kind] as ComponentType<{ readonly screen: Screen }>;
  return (
    <Suspense fallback={null}>
      <Body screen={open} />
    </Suspense>
  );
}

export type ScreenOf<K extends Screen["kind"]> = { readonly screen: Extract<Screen, { kind: K }> };
