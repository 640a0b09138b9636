/** CSV files with one row per frame: ours (`time_s` and channel names) and the recordings of Live Link Face. */

import { liveLinkTable } from "./live-link";
import { MotionError } from "./motion";
import { channelColumns, columnOf, isNumber, numbers, sheetOf } from "./sheet";
import { TIME_NAMES, type MotionTable } from "./table";

/**
 * A CSV file of either kind: that of Live Link Face has a column `Timecode` that no number stands in.
 *
 * @throws MotionError
 */
export function csvTable(text: string, place: string): MotionTable {
  const sheet = sheetOf(text, place);
  const timecode = columnOf(sheet, "timecode");
  if (timecode >= 0 && !isNumber(sheet.rows[0]![timecode]!)) return liveLinkTable(sheet, place);
  const times = sheet.header.flatMap((cell, index) => (TIME_NAMES.includes(cell.toLowerCase()) ? [index] : []));
  if (times.length > 1)
    throw new MotionError(`${place}: has ${times.length} time columns, expected one called 'time_s'`);
  return {
    ...channelColumns(sheet, place),
    timesS: times.length ? numbers(sheet, times[0]!, place) : undefined,
    placeOf: (frame) => `line ${sheet.lines[frame]}`,
  };
}
