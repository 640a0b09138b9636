/** What keys do, wherever the focus is; a field or button that has the focus keeps the keys that it needs itself. */

export type Action =
  | { readonly name: "animate" | "toggle-play" | "reset-view" | "toggle-loop" | "to-begin" | "to-end" }
  | { readonly name: "step"; readonly frames: number }
  | { readonly name: "skip"; readonly seconds: number };

type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey" | "target">;

/** What a key press asks for; null: nothing of the page's. */
export function actionOf(press: Press): Action | null {
  const { key, shiftKey } = press;
  const target = press.target instanceof Element ? press.target : null;
  if (target?.closest("dialog")) return null;
  if (key === "Enter" && (press.ctrlKey || press.metaKey)) return { name: "animate" };
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  if (target?.closest("input, select, textarea, button, summary, a[href]")) return null;
  if (key === "Enter") return { name: "animate" };
  if (key === " ") return { name: "toggle-play" };
  if (key === "ArrowLeft") return shiftKey ? { name: "skip", seconds: -1 } : { name: "step", frames: -1 };
  if (key === "ArrowRight") return shiftKey ? { name: "skip", seconds: 1 } : { name: "step", frames: 1 };
  if (key === "Home") return { name: "to-begin" };
  if (key === "End") return { name: "to-end" };
  if (key === "l" || key === "L") return { name: "toggle-loop" };
  if (key === "r" || key === "R") return { name: "reset-view" };
  return null;
}
