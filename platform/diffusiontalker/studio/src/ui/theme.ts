/** Light or dark: as the system says, until somebody switches. */

import { computed, effect, signal, type ReadonlySignal, type Signal } from "@preact/signals";

import type { Theme } from "../settings";

export type Shade = "light" | "dark";

/** What the page wears now. */
export function shadeOf(theme: Signal<Theme>): ReadonlySignal<Shade> {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const system = signal<Shade>(query.matches ? "dark" : "light");
  query.addEventListener("change", () => (system.value = query.matches ? "dark" : "light"));
  return computed(() => (theme.value === "auto" ? system.value : theme.value));
}

/** Keeps `data-theme` of the page, which the style sheets go by. @returns ends this. */
export function wear(shade: ReadonlySignal<Shade>): () => void {
  return effect(() => {
    document.documentElement.dataset.theme = shade.value;
  });
}
