/** JSON files: our own, those of the BEAT corpus, and exports of NVIDIA Audio2Face; told apart by their keys. */

import { MotionError } from "./motion";
import { checkedRate, type MotionTable } from "./table";

type Document = Record<string, unknown>;

/** @throws MotionError */
export function jsonTable(text: string, place: string): MotionTable {
  const content = parsed(text, place);
  if (isDocument(content) && "weightMat" in content) return audio2Face(content, place);
  if (!isDocument(content) || !("names" in content) || !("frames" in content)) {
    throw new MotionError(
      `${place}: expected an object with 'fps', 'names' and 'frames' (a list of weights per frame), or one of BEAT or ` +
        "Audio2Face",
    );
  }
  const { frames } = content;
  return Array.isArray(frames) && isDocument(frames[0]) ? beat(content, frames, place) : own(content, place);
}

function own(content: Document, place: string): MotionTable {
  const names = namesOf(content.names, "names", place);
  return { names, columns: columnsOf(content.frames, names, place), fps: checkedRate(content.fps, place), placeOf };
}

function audio2Face(content: Document, place: string): MotionTable {
  if (!("facsNames" in content)) throw new MotionError(`${place}: lacks facsNames, which exports of Audio2Face have`);
  const names = namesOf(content.facsNames, "facsNames", place);
  const columns = columnsOf(content.weightMat, names, place);
  for (const [key, found] of [
    ["numPoses", names.length],
    ["numFrames", columns[0]?.length],
  ] as const) {
    if (key in content && content[key] !== found) {
      throw new MotionError(
        `${place}: '${key}' is ${JSON.stringify(content[key])}, but there are ${found}; export it again`,
      );
    }
  }
  return { names, columns, fps: checkedRate(content.exportFps, place), placeOf };
}

/** Frames that hold `weights` and `time`. */
function beat(content: Document, frames: readonly unknown[], place: string): MotionTable {
  const names = namesOf(content.names, "names", place);
  const rows = frames.map((frame, index) => {
    if (!isDocument(frame) || !("weights" in frame) || typeof frame.time !== "number") {
      throw new MotionError(`${place}: ${placeOf(index)} must be an object with 'weights' and 'time', in seconds`);
    }
    return { weights: frame.weights, time: frame.time };
  });
  return {
    names,
    columns: columnsOf(
      rows.map(({ weights }) => weights),
      names,
      place,
    ),
    timesS: Float64Array.from(rows, ({ time }) => time),
    timeName: "'time'",
    placeOf,
    mayDropFrames: true,
  };
}

function parsed(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MotionError(
      `${place}: cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function namesOf(names: unknown, key: string, place: string): string[] {
  if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  throw new MotionError(`${place}: '${key}' must be a list of channel names`);
}

function columnsOf(frames: unknown, names: readonly string[], place: string): Float64Array[] {
  if (!Array.isArray(frames) || !frames.length) {
    throw new MotionError(`${place}: 'frames' must be a list with at least one frame`);
  }
  const columns = names.map(() => new Float64Array(frames.length));
  frames.forEach((weights: unknown, frame) => {
    if (!Array.isArray(weights) || weights.length !== names.length) {
      const count = Array.isArray(weights) ? weights.length : JSON.stringify(weights);
      throw new MotionError(
        `${place}: ${placeOf(frame)} holds ${count}, expected ${names.length} weights, one for each name of the file`,
      );
    }
    weights.forEach((weight: unknown, column) => {
      if (typeof weight !== "number") {
        throw new MotionError(
          `${place}: ${placeOf(frame)}, column '${names[column]}' is ${JSON.stringify(weight)}, expected a number`,
        );
      }
      columns[column]![frame] = weight;
    });
  });
  return columns;
}

function placeOf(frame: number): string {
  return `frame ${frame} (counted from 0)`;
}

function isDocument(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
