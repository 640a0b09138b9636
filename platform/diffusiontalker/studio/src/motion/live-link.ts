/**
 * Recordings of Live Link Face, Epic's app: `Timecode,BlendshapeCount`, 52 shapes and, if asked for, 9 rotations. The
 * timecode is `HH:MM:SS:FF.sss`; the last number counts frames and parts of them, of which a second mostly has 60.
 */

import { MotionError } from "./motion";
import { channelColumns, columnOf, type Sheet } from "./sheet";
import type { MotionTable } from "./table";

const TIMECODE = /^(\d{1,2}):(\d{2}):(\d{2}):(\d{1,3}(?:\.\d*)?)$/;
/** Without a face, without rotations, with them. */
const COUNTS = ["0", "52", "61"];
const DAY_S = 24 * 3600;
/** Frames that a second of a timecode usually has. */
const RATES = [24, 25, 30, 48, 50, 60, 100, 120, 240];
const DEFAULT_RATE = 60;

/** Rows whose count is 0, where the face was lost, become gaps. @throws MotionError */
export function liveLinkTable(recorded: Sheet, place: string): MotionTable {
  const timecode = columnOf(recorded, "timecode");
  const count = columnOf(recorded, "blendshapecount");
  if (count < 0) {
    const shown = recorded.header.slice(0, 8).join(", ");
    throw new MotionError(
      `${place}: has no column BlendshapeCount, which recordings of Live Link Face have (columns: ${shown}); export it ` +
        "again",
    );
  }
  const isTracked = recorded.rows.map((row, index) => {
    const cell = row[count]!.trim();
    if (COUNTS.includes(cell)) return cell !== "0";
    throw new MotionError(
      `${place}: line ${recorded.lines[index]}, column 'BlendshapeCount' is '${cell}', expected 61, 52 (no rotations) ` +
        "or 0 (no face)",
    );
  });
  if (!isTracked.includes(true)) {
    throw new MotionError(`${place}: no frame holds a face (BlendshapeCount is 0 in every line); record it again`);
  }
  const sheet = {
    header: recorded.header,
    rows: recorded.rows.filter((_, index) => isTracked[index]),
    lines: recorded.lines.filter((_, index) => isTracked[index]),
  };
  const codes = sheet.rows.map((row, index) => timecodeOf(row[timecode]!, sheet.lines[index]!, place));
  const shown = shownRate(codes);
  const rate = shown ?? assumedRate(codes);
  const note = `${place}: is too short to show how many frames a second of its timecode has; taken to be ${rate}`;
  return {
    ...channelColumns(sheet, place),
    timesS: unwrapped(codes.map(({ second, frame }) => second + frame / rate)),
    timeName: "Timecode",
    placeOf: (frame) => `line ${sheet.lines[frame]}`,
    mayDropFrames: true,
    notes: shown === null && codes.length > 1 ? [note] : [],
  };
}

interface Code {
  /** Of the day. */
  readonly second: number;
  /** Frames since that second. */
  readonly frame: number;
}

function timecodeOf(cell: string, line: number, place: string): Code {
  const match = TIMECODE.exec(cell.trim());
  const [hour, minute, second, frame] = match ? match.slice(1).map(Number) : [24, 0, 0, 0];
  if (hour! > 23 || minute! > 59 || second! > 59) {
    throw new MotionError(
      `${place}: line ${line}, column 'Timecode' is '${cell}', expected hours:minutes:seconds:frames such as ` +
        "14:03:52:28.207",
    );
  }
  return { second: 3600 * hour! + 60 * minute! + second!, frame: frame! };
}

/** Frames that a second of the timecode has, as the step into each new second shows; null where none does. */
function shownRate(codes: readonly Code[]): number | null {
  const within: number[] = [];
  const into: number[] = [];
  for (let index = 1; index < codes.length; index++) {
    const elapsed = (codes[index]!.second - codes[index - 1]!.second + DAY_S) % DAY_S;
    const step = codes[index]!.frame - codes[index - 1]!.frame;
    if (elapsed === 0) within.push(step);
    else if (elapsed === 1) into.push(step);
  }
  if (!within.length || !into.length) return null;
  const step = median(within);
  const shown = median(into.map((change) => step - change));
  return usualRate(Math.max(shown - 0.5, least(codes)));
}

/** The same where the timecode does not show it. */
function assumedRate(codes: readonly Code[]): number {
  return DEFAULT_RATE >= least(codes) ? DEFAULT_RATE : usualRate(least(codes));
}

/** Fewer frames than this a second cannot have. */
function least(codes: readonly Code[]): number {
  return Math.floor(codes.reduce((most, { frame }) => Math.max(most, frame), 0)) + 1;
}

function usualRate(atLeast: number): number {
  return RATES.find((rate) => rate >= atLeast) ?? Math.ceil(atLeast);
}

/** Times that go on growing past midnight. */
function unwrapped(timesS: readonly number[]): Float64Array {
  let days = 0;
  return Float64Array.from(timesS, (time, index) => {
    if (index && time - timesS[index - 1]! < -DAY_S / 2) days++;
    return time + days * DAY_S;
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
