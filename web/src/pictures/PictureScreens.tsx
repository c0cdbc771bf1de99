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
  files: lazy(() => import("./picker/FilePicker")),
  pictureSheet: lazy(() => import("./sheet/PictureSheet")),
} as const;

/**
 * The screens for pictures that are open, one over the other; each is fetched when it is first needed. Those below stay
 * as they are, so that leaving one leads back to what one looked at.
 */
export function PictureScreens() {
  return useStore(screens).map((screen, at) => {
    const Body = body[screen.kind] as ComponentType<{ readonly screen: Screen }>;
    return (
      <Suspense key={`${at} ${screen.kind}`} fallback={null}>
        <Body screen={screen} />
      </Suspense>
    );
  });
}

export type ScreenOf<K extends Screen["kind"]> = { readonly screen: Extract<Screen, { kind: K }> };
