/** What the timeline shows now, computed once for all its parts. */

import { computed, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Workbench } from "../state/workbench";
import { apart, rowsFor } from "./curves";

export class TimelineView {
  /** Where the pointer is; null: elsewhere. */
  readonly hoverS = signal<number | null>(null);
  readonly rows = computed(() => {
    const { settings, motionA, motionB } = this.bench;
    if (!motionA.value && !motionB.value) return [];
    return rowsFor(settings.channels.value, motionA.value, motionB.value);
  });
  readonly apart = computed(() => apart(this.bench.motionA.value, this.bench.motionB.value));
  /** The instant whose values are told, in steps that eyes can follow. */
  readonly toldS = computed(() => this.hoverS.value ?? Math.round(this.bench.player.timeS.value * 20) / 20);

  constructor(private readonly bench: Workbench) {}
}

export const TimelineContext = createContext<TimelineView | null>(null);

export function useTimeline(): TimelineView {
  const view = useContext(TimelineContext);
  if (!view) throw new Error("a component stands outside of TimelineContext.Provider");
  return view;
}
