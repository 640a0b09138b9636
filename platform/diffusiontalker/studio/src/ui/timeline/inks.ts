/** The colours of the style sheets, as canvases need them. */

import type { Inks } from "./draw";

export interface Palette extends Inks {
  readonly curves: readonly string[];
}

/** What the custom properties are where an element stands: `light-dark()` is resolved. */
export function paletteOf(parent: HTMLElement): Palette {
  const probe = document.createElement("span");
  parent.append(probe);
  const color = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const palette = {
    ink: color("ink"),
    soft: color("ink-soft"),
    line: color("line"),
    quiet: color("quiet"),
    curves: [1, 2, 3, 4, 5].map((number) => color(`curve-${number}`)),
  };
  probe.remove();
  return palette;
}
