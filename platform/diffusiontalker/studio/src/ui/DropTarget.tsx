import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { useBench } from "./bench";

/** The whole page takes files: a sound, a head, a motion. */
export function DropTarget() {
  const bench = useBench();
  const isOver = useSignal(false);
  useEffect(() => {
    let depth = 0; // of elements that the pointer is in
    const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!holdsFile(event)) return;
      depth += 1;
      isOver.value = true;
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) isOver.value = false;
    };
    const over = (event: DragEvent) => {
      if (holdsFile(event)) event.preventDefault();
    };
    const drop = async (event: DragEvent) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      depth = 0;
      isOver.value = false;
      for (const file of event.dataTransfer!.files) await bench.openDropped(file);
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: over, drop } as const;
    for (const [name, listener] of Object.entries(listeners)) {
      document.addEventListener(name, listener as EventListener);
    }
    return () => {
      for (const [name, listener] of Object.entries(listeners)) {
        document.removeEventListener(name, listener as EventListener);
      }
    };
  }, [bench]);
  if (!isOver.value) return null;
  return (
    <div class="drop">
      <strong>Drop it anywhere</strong>
      <span class="soft">A sound to animate, a head (GLB), or a motion (csv, json) to compare with.</span>
    </div>
  );
}
