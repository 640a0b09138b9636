/** The pictures of the timeline: waveform, curves and their difference below one another, on one axis of time. */

/** Where the rows lie, in CSS pixels. */
export interface Rows {
  readonly width: number;
  readonly waveform: readonly [top: number, bottom: number];
  readonly curves: readonly [top: number, bottom: number];
  readonly difference: readonly [top: number, bottom: number] | null;
  readonly axis: readonly [top: number, bottom: number];
}

export interface Curve {
  /** A CSS colour. */
  readonly color: string;
  readonly fps: number;
  /** One value per frame, in [0, 1]; differences in [-1, 1]. */
  readonly values: Float32Array;
  readonly isDashed: boolean;
}

/** Colours of the theme, as CSS. */
export interface Inks {
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
  readonly quiet: string;
}

const AXIS_HEIGHT = 18;
const DIFFERENCE_HEIGHT = 48;
const GAP = 8;

export function rowsOf(width: number, height: number, isCompared: boolean): Rows {
  const axisTop = height - AXIS_HEIGHT;
  const differenceTop = isCompared ? axisTop - DIFFERENCE_HEIGHT : axisTop;
  const waveformBottom = Math.round(Math.min(52, 0.28 * differenceTop));
  return {
    width,
    waveform: [0, waveformBottom],
    curves: [waveformBottom + GAP, differenceTop - (isCompared ? GAP : 0)],
    difference: isCompared ? [differenceTop, axisTop] : null,
    axis: [axisTop, height],
  };
}

/** The top of the curves' scale: the least of these that holds every value, whatever its sign. */
export function scaleOf(curves: readonly Curve[]): number {
  let most = 0;
  for (const { values } of curves) for (const value of values) most = Math.max(most, Math.abs(value));
  return [0.1, 0.25, 0.5, 0.75].find((top) => most <= top) ?? 1;
}

/** Seconds between two marks of the axis, so that they stand at least 64 pixels apart. */
export function tickOf(durationS: number, width: number): number {
  const least = (64 * durationS) / Math.max(width, 1);
  return [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60].find((step) => step >= least) ?? 120;
}

export function drawAxis(context: CanvasRenderingContext2D, rows: Rows, durationS: number, inks: Inks): void {
  const [top, bottom] = rows.axis;
  const step = tickOf(durationS, rows.width);
  context.strokeStyle = inks.line;
  context.lineWidth = 1;
  context.fillStyle = inks.soft;
  context.textBaseline = "middle";
  for (let index = 0; index * step <= durationS + 1e-9; index++) {
    const x = Math.round(((index * step) / durationS) * rows.width);
    context.beginPath();
    context.moveTo(x + 0.5, 0);
    context.lineTo(x + 0.5, top);
    context.stroke();
    context.textAlign = index === 0 ? "left" : x > rows.width - 20 ? "right" : "center";
    context.fillText(axisLabel(index * step, step), x, (top + bottom) / 2 + 2);
  }
}

function axisLabel(timeS: number, step: number): string {
  if (step < 1) return `${timeS.toFixed(1)} s`;
  if (timeS < 60) return `${Math.round(timeS)} s`;
  return `${Math.floor(timeS / 60)}:${String(Math.round(timeS % 60)).padStart(2, "0")}`;
}

/** The sound, as high as its loudest sample allows; it fills a share of the time. */
export function drawWaveform(
  context: CanvasRenderingContext2D,
  rows: Rows,
  { low, high, share }: { low: Float32Array; high: Float32Array; share: number },
  color: string,
): void {
  const [top, bottom] = rows.waveform;
  const middle = (top + bottom) / 2;
  const reach = (bottom - top) / 2 - 1;
  const step = (share * rows.width) / low.length;
  let most = 0.05;
  for (let index = 0; index < low.length; index++) most = Math.max(most, high[index]!, -low[index]!);
  context.fillStyle = color;
  context.beginPath();
  for (let index = 0; index < low.length; index++) {
    const above = (reach * high[index]!) / most;
    const below = (reach * low[index]!) / most;
    context.rect(index * step, middle - above - 0.5, Math.max(step, 0.75), above - below + 1);
  }
  context.fill();
}

export function drawCurves(
  context: CanvasRenderingContext2D,
  rows: Rows,
  curves: readonly Curve[],
  { durationS, inks }: { durationS: number; inks: Inks },
): void {
  if (curves.length === 0) return;
  const [top, bottom] = rows.curves;
  const most = scaleOf(curves);
  context.strokeStyle = inks.line;
  context.lineWidth = 1;
  for (const y of [top, bottom]) {
    context.beginPath();
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(rows.width, Math.round(y) + 0.5);
    context.stroke();
  }
  for (const curve of curves) {
    drawCurve(context, curve, (value) => bottom - (value / most) * (bottom - top), rows.width / durationS);
  }
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText(String(most), 4, top + 4);
}

/** B minus A, of the same channels as the curves: above the middle where B is higher. */
export function drawDifferences(
  context: CanvasRenderingContext2D,
  rows: Rows,
  curves: readonly Curve[],
  { durationS, inks }: { durationS: number; inks: Inks },
): void {
  if (!rows.difference) return;
  const [top, bottom] = rows.difference;
  const middle = Math.round((top + bottom) / 2);
  context.strokeStyle = inks.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, middle + 0.5);
  context.lineTo(rows.width, middle + 0.5);
  context.stroke();
  const most = scaleOf(curves);
  for (const curve of curves) {
    const reach = (bottom - top) / 2 / most;
    drawCurve(context, curve, (value) => middle - value * reach, rows.width / durationS);
  }
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText(`B − A, ±${most}`, 4, top);
}

function drawCurve(
  context: CanvasRenderingContext2D,
  { color, fps, values, isDashed }: Curve,
  yOf: (value: number) => number,
  pixelsPerS: number,
): void {
  context.lineJoin = "round";
  context.strokeStyle = color;
  context.lineWidth = isDashed ? 1.5 : 1.75;
  context.setLineDash(isDashed ? [5, 3] : []);
  context.beginPath();
  values.forEach((value, frame) => context.lineTo((frame / fps) * pixelsPerS, yOf(value)));
  context.stroke();
  context.setLineDash([]);
}

/** The one line that moves; the only thing that is drawn while sound plays. */
export function drawPlayhead(
  context: CanvasRenderingContext2D,
  rows: Rows,
  x: number,
  { color, isHover }: { color: string; isHover: boolean },
): void {
  context.fillStyle = color;
  context.fillRect(x - (isHover ? 0.5 : 0.75), 0, isHover ? 1 : 1.5, rows.axis[0]);
  if (isHover) return;
  context.beginPath();
  context.moveTo(x - 5, 0);
  context.lineTo(x + 5, 0);
  context.lineTo(x, 6);
  context.fill();
}
