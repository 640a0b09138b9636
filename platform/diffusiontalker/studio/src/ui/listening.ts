/** Keys of the whole page, done. */

import { actionOf, type Action } from "./keys";
import type { Workbench } from "./state/workbench";

/** @returns ends this. */
export function listenToKeys(bench: Workbench): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    act(bench, action);
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

function act(bench: Workbench, action: Action): void {
  const { player, settings } = bench;
  switch (action.name) {
    case "animate":
      return void bench.animate();
    case "toggle-play":
      return bench.togglePlay();
    case "step":
      return bench.step(action.frames);
    case "skip":
      return player.seek(player.timeS.value + action.seconds);
    case "to-begin":
      return player.seek(0);
    case "to-end":
      return player.seek(player.durationS.value);
    case "toggle-loop":
      return void (settings.isLooping.value = !settings.isLooping.value);
    case "reset-view":
      return bench.stage.value?.resetView();
  }
}
