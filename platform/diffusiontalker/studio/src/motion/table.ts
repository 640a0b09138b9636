/**
 * What a file says about motion before names, values and time are judged; and that judgement.
 *
 * The rules are those of the platform (`face/readers/table.py`): everything that would silently give a wrong face is an
 * error.
 */

import { arkitName } from "../head/names";
import { MotionError, type Motion } from "./motion";
import { evenRate, onEvenFrames } from "./times";

/** Named columns with one value per frame, under the file's own names and in the file's own order. */
export interface MotionTable {
  readonly names: readonly string[];
  /** One per name. */
  readonly columns: readonly Float64Array[];
  /** The frame rate that the file says, if it does. */
  readonly fps?: number;
  /** When each frame is valid, in seconds, if the file says so. */
  readonly timesS?: Float64Array;
  /** What the file calls them. */
  readonly timeName?: string;
  /** Where a frame stands in the file, for messages. */
  readonly placeOf: (frame: number) => string;
  /** Whether recorders of this format drop frames: gaps are then filled, and times may waver. */
  readonly mayDropFrames?: boolean;
  /** What whoever sees the motion should know about how it was read. */
  readonly notes?: readonly string[];
}

export interface ReadMotion {
  readonly motion: Motion;
  readonly notes: readonly string[];
}

/** Trackers overshoot [0, 1] a little; beyond these bounds a file holds something else. */
const LOWEST_VALUE = -0.5;
const HIGHEST_VALUE = 1.5;
const RATE_TOLERANCE = 0.01;
export const TIME_NAMES: readonly string[] = ["time_s", "time", "timecode"];

/** The motion that a table means. @throws MotionError */
export function motionOf(table: MotionTable, place: string): ReadMotion {
  const channels = channelsOf(table.names, place);
  const names = [...channels.keys()];
  let columns = [...channels.values()].map((index) => table.columns[index]!);
  checkValues(
    columns,
    [...channels.values()].map((index) => table.names[index]!),
    table,
    place,
  );
  const notes = [...(table.notes ?? [])];
  const { timesS, timeName = "time_s", placeOf } = table;
  let measured: number | null = null;
  if (table.mayDropFrames && timesS && timesS.length > 1) {
    const even = onEvenFrames(columns, timesS, place, placeOf);
    columns = even.columns;
    measured = even.fps;
    if (even.note) notes.push(even.note);
  } else if (timesS) {
    measured = evenRate(timesS, place, timeName, placeOf);
  }
  const fps = agreedRate(table.fps ?? null, measured, timeName, place);
  const numFrames = columns[0]!.length;
  const weights = new Float32Array(numFrames * names.length);
  columns.forEach((column, channel) => {
    for (let frame = 0; frame < numFrames; frame++) weights[frame * names.length + channel] = column[frame]!;
  });
  return { motion: { fps, names, numFrames, weights }, notes };
}

/** Refuses a file none of whose columns is of a face. @throws MotionError */
export function requireChannels(names: readonly string[], place: string): void {
  if (names.some((name) => arkitName(name) !== null)) return;
  const shown = names.slice(0, 8).join(", ") || "none";
  throw new MotionError(`${place}: no column is named after an ARKit channel such as jawOpen (columns: ${shown})`);
}

/** A frame rate as a file gives it; undefined when it gives none. @throws MotionError */
export function checkedRate(value: unknown, place: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw new MotionError(
    `${place}: its frame rate is ${JSON.stringify(value)}, expected a positive number such as 25, 30 or 60`,
  );
}

/** ARKit name -> its column. */
function channelsOf(names: readonly string[], place: string): Map<string, number> {
  requireChannels(names, place);
  const channels = new Map<string, number>();
  names.forEach((name, index) => {
    const known = arkitName(name);
    if (known === null) return;
    const before = channels.get(known);
    if (before !== undefined) {
      throw new MotionError(`${place}: columns ${names[before]}, ${name} all mean ${known}; keep one of them`);
    }
    channels.set(known, index);
  });
  return channels;
}

function checkValues(
  columns: readonly Float64Array[],
  names: readonly string[],
  { placeOf }: MotionTable,
  place: string,
): void {
  const broken = firstOf(columns, (value) => !Number.isFinite(value));
  if (broken) {
    throw new MotionError(
      `${place}: ${broken.count === 1 ? "1 value is" : `${broken.count} values are`} NaN or infinite, the first in ` +
        `${placeOf(broken.frame)}, column '${names[broken.column]}'; repair the file`,
    );
  }
  const beyond = firstOf(columns, (value) => value < LOWEST_VALUE || value > HIGHEST_VALUE);
  if (beyond) {
    const value = columns[beyond.column]![beyond.frame]!;
    throw new MotionError(
      `${place}: ${beyond.count === 1 ? "1 value lies" : `${beyond.count} values lie`} outside ` +
        `[${LOWEST_VALUE}, ${HIGHEST_VALUE}], the first, ${Number(value.toPrecision(6))}, in ` +
        `${placeOf(beyond.frame)}, column '${names[beyond.column]}'; ARKit weights lie in [0, 1]: ${scaling(columns)}`,
    );
  }
}

/** How many values are so, and the first of them, frame by frame; null when none is. */
function firstOf(
  columns: readonly Float64Array[],
  isSo: (value: number) => boolean,
): { frame: number; column: number; count: number } | null {
  let first: { frame: number; column: number } | null = null;
  let count = 0;
  columns.forEach((values, column) =>
    values.forEach((value, frame) => {
      if (!isSo(value)) return;
      count++;
      if (!first || frame < first.frame) first = { frame, column };
    }),
  );
  return first && { ...(first as { frame: number; column: number }), count };
}

/** What to do with numbers that reach so far. */
function scaling(columns: readonly Float64Array[]): string {
  const largest = columns.reduce(
    (most, column) => column.reduce((top, value) => Math.max(top, Math.abs(value)), most),
    0,
  );
  if (largest > 255) return "this column holds something else, or is damaged; export it again";
  return largest <= 100 ? "divide percentages by 100" : "divide bytes by 255";
}

/** The one rate that file and times agree on. */
function agreedRate(said: number | null, measured: number | null, timeName: string, place: string): number {
  const rate = said ?? measured;
  if (rate === null) {
    throw new MotionError(`${place}: tells no frame rate (no time_s column, no fps); convert it with --fps`);
  }
  if (measured !== null && Math.abs(measured - rate) > RATE_TOLERANCE * rate) {
    throw new MotionError(
      `${place}: the file says ${shown(rate)} fps but ${timeName} says ${shown(measured)} fps; correct the wrong one`,
    );
  }
  return rate;
}

function shown(rate: number): string {
  return String(Number(rate.toPrecision(6)));
}
