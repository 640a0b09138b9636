/** Which curves are drawn, and what they hold. */

import { channelsOf, column, difference, figures, regionOf, type Motion, type Region } from "../../motion";

/** As many as there are colours. */
export const MOST_CURVES = 5;

/** Colours of curves, by their place in the legend. */
export const KEYS = ["one", "two", "three", "four", "five"] as const;

/** A channel with its values in A and B. */
export interface Row {
  readonly name: string;
  readonly a: Series | null;
  readonly b: Series | null;
  /** B minus A; null where one of them lacks it. */
  readonly apart: Series | null;
}

export interface Series {
  readonly fps: number;
  readonly values: Float32Array;
}

/** A region of the face; `all`: whatever moves most. */
export type Chip = Region | "all";

/** How much a channel moves: the standard deviation of its values, of the livelier motion. */
export function activity(motions: readonly Motion[], name: string): number {
  return Math.max(0, ...motions.map((motion) => deviation(column(motion, name))));
}

function deviation(values: Float32Array | null): number {
  if (!values?.length) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Channels of a region, those that move most first. */
export function channelsBy(motions: readonly Motion[], chip: Chip): string[] {
  const all = [...new Set(motions.flatMap(({ names }) => names))];
  const inRegion: readonly string[] = chip === "all" ? all : channelsOf(chip).filter((name) => all.includes(name));
  const moved = new Map(inRegion.map((name) => [name, activity(motions, name)]));
  return [...inRegion].sort((one, other) => moved.get(other)! - moved.get(one)!);
}

/** The first few of them, one of each pair of left and right. */
export function mostActive(motions: readonly Motion[], chip: Chip): string[] {
  const names = channelsBy(motions, chip);
  const isFirst = (name: string, index: number) => names.findIndex((other) => bare(other) === bare(name)) === index;
  return names.filter(isFirst).slice(0, MOST_CURVES);
}

function bare(name: string): string {
  return name.replace(/(Left|Right)$/, "");
}

/** The region that chosen channels are of; `all` for none chosen, null for a mixture. */
export function chipOf(channels: readonly string[]): Chip | null {
  if (channels.length === 0) return "all";
  const [region, ...others] = new Set(channels.map(regionOf));
  return others.length === 0 ? (region ?? null) : null;
}

/** The rows of the legend: what was chosen, or what moves most. */
export function rowsFor(channels: readonly string[], a: Motion | null, b: Motion | null): Row[] {
  const motions = [a, b].filter((motion) => motion !== null);
  const names = channels.length ? channels : mostActive(motions, "all");
  const between = a && b && difference(a, b);
  return names.slice(0, MOST_CURVES).map((name) => ({
    name,
    a: series(a, name),
    b: series(b, name),
    apart: series(between, name),
  }));
}

function series(motion: Motion | null, name: string): Series | null {
  const values = motion && column(motion, name);
  return values && { fps: motion.fps, values };
}

/** Between frames linearly, as the head is moved. */
export function valueAt({ fps, values }: Series, timeS: number): number {
  const position = Math.min(Math.max(timeS * fps, 0), values.length - 1);
  const before = Math.floor(position);
  const first = values[before] ?? 0;
  return first + ((values[before + 1] ?? first) - first) * (position - before);
}

export interface Apart {
  /** Mean absolute difference, over all channels and frames. */
  readonly meanError: number;
  /** Correlation of jawOpen; null where it does not move. */
  readonly jawCorrelation: number | null;
}

/** How far two motions are apart; null when they share no channel. */
export function apart(a: Motion | null, b: Motion | null): Apart | null {
  const between = a && b && difference(a, b);
  if (!a || !b || !between) return null;
  const { weights } = between;
  return {
    meanError: weights.reduce((sum, value) => sum + Math.abs(value), 0) / weights.length,
    jawCorrelation: figures(a, b, "jawOpen")?.correlation ?? null,
  };
}
