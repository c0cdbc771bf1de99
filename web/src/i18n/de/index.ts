import { pictures } from "../../pictures/de";
import { canvas } from "./canvas";
import { editing } from "./editing";
import { keeping } from "./keeping";
import { running } from "./running";
import { shell } from "./shell";

/** German by area. Each key stands in the code with its English text; a test holds the two to the same keys. */
export const AREAS = { canvas, editing, keeping, pictures, running, shell };

export const de: Readonly<Record<string, string>> = Object.assign({}, ...Object.values(AREAS));
