import { useMemo } from "preact/hooks";

import { useBench } from "../bench";
import { Legend } from "./Legend";
import { Plots } from "./Plots";
import { Regions } from "./Regions";
import { TimelineContext, TimelineView } from "./view";

/** Sound and motion over time. */
export function Timeline() {
  const bench = useBench();
  const view = useMemo(() => new TimelineView(bench), [bench]);
  if (bench.player.durationS.value === 0) {
    return (
      <section class="timeline empty" aria-label="Timeline">
        <p class="nothing">
          {bench.mode.value === "live"
            ? "Sound and curves appear here when you stop."
            : "Sound and curves appear here."}
        </p>
      </section>
    );
  }
  return (
    <TimelineContext.Provider value={view}>
      <section class="timeline" aria-label="Timeline">
        <Regions />
        <Plots />
        <Legend />
      </section>
    </TimelineContext.Provider>
  );
}
