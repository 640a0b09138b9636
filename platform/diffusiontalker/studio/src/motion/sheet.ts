/** The cells of a CSV file, and the numbers in them. */

import { arkitName } from "../head/names";
import { MotionError } from "./motion";
import { requireChannels, type MotionTable } from "./table";

export interface Sheet {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The line that each row ends in, from 1. */
  readonly lines: readonly number[];
}

const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
const NO_NUMBER = /^\s*[+-]?(nan|inf(inity)?)\s*$/i;
const REMEDY = "save it as comma-separated UTF-8 text, with points as decimal marks";

/** The columns of the face. @throws MotionError for cells that are no numbers. */
export function channelColumns(sheet: Sheet, place: string): Pick<MotionTable, "names" | "columns"> {
  const wanted = sheet.header.flatMap((cell, index) => (arkitName(cell) === null ? [] : [index]));
  return {
    names: wanted.map((index) => sheet.header[index]!),
    columns: wanted.map((index) => numbers(sheet, index, place)),
  };
}

/** The column of a name in lower case; -1 when there is none. */
export function columnOf(sheet: Sheet, name: string): number {
  return sheet.header.findIndex((cell) => cell.toLowerCase() === name);
}

/** @throws MotionError where a text is no table, or has no column of a face. */
export function sheetOf(text: string, place: string): Sheet {
  const rows = rowsOf(text);
  const header = rows[0]?.cells.map((cell) => cell.trim()) ?? [];
  for (const [separator, name] of [
    [";", "semicolons"],
    ["\t", "tabs"],
  ] as const) {
    if (header.length === 1 && header[0]!.includes(separator)) {
      throw new MotionError(`${place}: its cells are separated by ${name}; ${REMEDY}`);
    }
  }
  if (rows.length < 2) {
    throw new MotionError(`${place}: holds no frames; expected a line of channel names, then one line per frame`);
  }
  requireChannels(header, place);
  for (const { cells, line } of rows.slice(1)) {
    if (cells.length === header.length) continue;
    throw new MotionError(
      `${place}: line ${line} has ${cells.length} cells, the header ${header.length}; repair the line`,
    );
  }
  return { header, rows: rows.slice(1).map(({ cells }) => cells), lines: rows.slice(1).map(({ line }) => line) };
}

/** Rows without the empty ones; cells may stand in quotes, with commas and line ends in them. */
function rowsOf(text: string): { cells: string[]; line: number }[] {
  const rows: { cells: string[]; line: number }[] = [];
  let begun: string[] = [];
  let isQuoted = false;
  const pieces = text.split(/\r\n|\n|\r/);
  pieces.forEach((piece, index) => {
    begun.push(piece);
    if (piece.split('"').length % 2 === 0) isQuoted = !isQuoted;
    if (isQuoted && index < pieces.length - 1) return; // the row goes on
    const row = begun.join("\n");
    begun = [];
    if (row) rows.push({ cells: cellsOf(row), line: index + 1 });
  });
  return rows;
}

function cellsOf(row: string): string[] {
  if (!row.includes('"')) return row.split(",");
  const cells: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let index = 0; index < row.length; index++) {
    const letter = row[index]!;
    if (letter === '"' && isQuoted && row[index + 1] === '"') cell += row[++index];
    else if (letter === '"') isQuoted = !isQuoted;
    else if (letter !== "," || isQuoted) cell += letter;
    else {
      cells.push(cell);
      cell = "";
    }
  }
  return [...cells, cell];
}

/** One column. @throws MotionError for cells that are no numbers. */
export function numbers(sheet: Sheet, column: number, place: string): Float64Array {
  return Float64Array.from(sheet.rows, (row, index) => {
    const cell = row[column]!;
    if (NUMBER.test(cell)) return Number(cell);
    if (NO_NUMBER.test(cell)) return NaN;
    throw new MotionError(
      `${place}: line ${sheet.lines[index]}, column '${sheet.header[column]}' is '${cell}', expected a number` +
        (cell.includes(",") ? " with a decimal point" : ""),
    );
  });
}

export function isNumber(cell: string): boolean {
  return NUMBER.test(cell);
}
