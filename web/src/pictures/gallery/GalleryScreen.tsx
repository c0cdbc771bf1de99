import { t } from "../../i18n";
import { ScreenFrame } from "../ScreenFrame";
import { leaveScreen } from "../screens";
import { Gallery } from "./Gallery";

/** The gallery with the whole window for itself. */
export default function GalleryScreen() {
  return (
    <ScreenFrame title={t("panel.gallery", "Pictures")} className="gallery-screen">
      <Gallery large leave={leaveScreen} />
    </ScreenFrame>
  );
}
