import { useSignalEffect, type ReadonlySignal } from "@preact/signals";
import { useRef } from "preact/hooks";

/** The quietest level that is shown. */
const LEAST_DB = -50;

/** How loud the microphone is, in decibels. */
export function Meter({ level }: { level: ReadonlySignal<number> }) {
  const bar = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const share = Math.min(Math.max(1 - (20 * Math.log10(level.value + 1e-9)) / LEAST_DB, 0), 1);
    if (bar.current) bar.current.style.transform = `scaleX(${share})`;
  });
  return (
    <div class="meter" role="img" aria-label="Level of the microphone">
      <div ref={bar} />
    </div>
  );
}
