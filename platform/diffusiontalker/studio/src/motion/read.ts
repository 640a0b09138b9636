/** Motion from a file that somebody dropped. */

import { csvTable } from "./csv";
import { jsonTable } from "./json";
import { MotionError } from "./motion";
import { motionOf, type ReadMotion } from "./table";

/** What file pickers offer. */
export const MOTION_SUFFIXES = [".csv", ".json"];

const MOST_BYTES = 256e6;

/**
 * The motion of a `.csv` (ours or of Live Link Face) or `.json` file (ours, of BEAT or of Audio2Face), and what to know
 * about how it was read.
 *
 * @throws MotionError in words.
 */
export async function readMotion(file: File): Promise<ReadMotion> {
  const place = file.name;
  const read = { csv: csvTable, json: jsonTable }[/\.(csv|json)$/i.exec(place)?.[1]?.toLowerCase() ?? ""];
  if (!read) {
    throw new MotionError(
      `${place}: expected motion as .csv or .json; make one with: diffusiontalker convert ${place} motion.csv`,
    );
  }
  if (!file.size) throw new MotionError(`${place}: the file is empty (0 bytes)`);
  if (file.size > MOST_BYTES) {
    throw new MotionError(
      `${place}: has ${Math.round(file.size / 1e6)} MB, at most ${MOST_BYTES / 1e6} MB are read here`,
    );
  }
  return motionOf(read(textOf(await file.arrayBuffer(), place), place), place);
}

function textOf(bytes: ArrayBuffer, place: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MotionError(`${place}: is not UTF-8 text; save it as UTF-8`);
  }
}
