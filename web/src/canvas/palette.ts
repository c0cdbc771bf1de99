import { ownColour, tokenOf } from "./sockets";

const inks = new Map<string, string>();

/** Black or white, whichever is read better on a colour of a file; white where the colour is no hex number. */
export function inkOn(colour: string): string {
  let ink = inks.get(colour);
  if (ink === undefined) {
    const short = /^#([\da-f])([\da-f])([\da-f])$/i.exec(colour);
    const hex = short === null ? colour : `#${short.slice(1).map((digit) => digit + digit).join("")}`;
    const parts = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})/i.exec(hex)?.slice(1) ?? ["0", "0", "0"];
    const [red = 0, green = 0, blue = 0] = parts.map((part) => (parseInt(part, 16) / 255) ** 2.2);
    ink = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#111111" : "#ffffff";
    if (inks.size > 1000) inks.clear();
    inks.set(colour, ink);
  }
  return ink;
}

const NAMES = ["surface-0", "surface-1", "surface-2", "surface-3", "text", "text-quiet", "accent", "border", "focus"] as const;
export type ColourName = (typeof NAMES)[number];

/** Colours of the theme as the canvas needs them: resolved once, not per frame. */
export class Palette {
  private readonly colours = new Map<string, string>();
  font = "sans-serif";
  private style: CSSStyleDeclaration;

  constructor(private readonly host: HTMLElement) {
    this.style = getComputedStyle(host);
    this.read();
  }

  /** Reads everything again; to be called when the theme changes. */
  read(): void {
    this.colours.clear();
    this.style = getComputedStyle(this.host);
    for (const name of NAMES) this.colours.set(name, this.style.getPropertyValue(`--${name}`).trim() || "#888");
    this.font = this.style.fontFamily || "sans-serif";
  }

  get(name: ColourName): string {
    return this.colours.get(name) ?? "#888";
  }

  socket(type: string): string {
    let colour = this.colours.get(`type ${type}`);
    if (colour === undefined) {
      colour = this.style.getPropertyValue(tokenOf(type)).trim() || ownColour(type).replace("var(--text-quiet)", this.get("text-quiet"));
      this.colours.set(`type ${type}`, colour);
    }
    return colour;
  }
}
