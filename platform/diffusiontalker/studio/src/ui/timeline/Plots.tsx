import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { peaksOf } from "../../sound";
import { useBench } from "../bench";
import { clock } from "../words";
import { drawAxis, drawCurves, drawDifferences, drawPlayhead, drawWaveform, rowsOf, type Curve } from "./draw";
import { paletteOf } from "./inks";
import { useTimeline } from "./view";

/** Waveform and curves, and above them, on a canvas of its own, the playhead: nothing else is drawn while it moves. */
export function Plots() {
  const bench = useBench();
  const view = useTimeline();
  const root = useRef<HTMLDivElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const moving = useRef<HTMLCanvasElement>(null);
  const size = useSignal({ width: 0, height: 0, ratio: 1 });
  const durationS = bench.player.durationS;
  const tenths = useComputed(() => Math.round(bench.player.timeS.value * 10));
  const valueNow = useComputed(() => tenths.value / 10);
  const valueText = useComputed(() => clock(tenths.value / 10));
  const isCompared = useComputed(() => bench.isComparing.value && view.apart.value !== null);
  const rows = useComputed(() => rowsOf(size.value.width, size.value.height, isCompared.value));

  useEffect(() => {
    const element = root.current!;
    const observer = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight, ratio: devicePixelRatio };
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const sound = bench.sound.value;
  const peaks = useMemo(() => sound && peaksOf(sound.samples, 1200), [sound]);
  const palette = useComputed(() => (void bench.shade.value, size.value.width ? paletteOf(root.current!) : null));

  useSignalEffect(() => {
    const context = cleared(still.current!, size.value);
    const inks = palette.value;
    const lengthS = durationS.value;
    if (!context || !inks || !lengthS) return;
    context.font = getComputedStyle(root.current!).font;
    drawAxis(context, rows.value, lengthS, inks);
    const shown = bench.sound.value;
    if (shown && peaks) drawWaveform(context, rows.value, { ...peaks, share: shown.durationS / lengthS }, inks.quiet);
    const curves = view.rows.value.flatMap(({ a, b }, index): Curve[] => {
      const color = inks.curves[index]!;
      return [a && { ...a, color, isDashed: false }, b && { ...b, color, isDashed: true }].filter(
        (one) => one !== null,
      );
    });
    drawCurves(context, rows.value, curves, { durationS: lengthS, inks });
    const apart = view.rows.value.map(
      (row, index) => row.apart && { ...row.apart, color: inks.curves[index]!, isDashed: false },
    );
    drawDifferences(
      context,
      rows.value,
      apart.filter((one) => one !== null),
      { durationS: lengthS, inks },
    );
  });

  useSignalEffect(() => {
    const context = cleared(moving.current!, size.value);
    const inks = palette.value;
    if (!context || !inks || !durationS.value) return;
    const at = (timeS: number) => (timeS / durationS.value) * rows.value.width;
    const hoverS = view.hoverS.value;
    if (hoverS !== null) drawPlayhead(context, rows.value, at(hoverS), { color: inks.quiet, isHover: true });
    drawPlayhead(context, rows.value, at(bench.player.timeS.value), { color: inks.ink, isHover: false });
  });

  const timeOf = (event: PointerEvent) => {
    const { left, width } = root.current!.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - left) / width, 0), 1) * durationS.value;
  };

  return (
    <div
      ref={root}
      class={isCompared.value ? "plots compared" : "plots"}
      role="slider"
      tabIndex={0}
      aria-label="Position"
      aria-disabled={durationS.value === 0}
      aria-valuemin={0}
      aria-valuemax={Number(durationS.value.toFixed(2))}
      aria-valuenow={valueNow}
      aria-valuetext={valueText}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        bench.player.seek(timeOf(event));
      }}
      onPointerMove={(event) => {
        if (event.buttons & 1) bench.player.seek(timeOf(event));
        else view.hoverS.value = durationS.value ? timeOf(event) : null;
      }}
      onPointerLeave={() => (view.hoverS.value = null)}
    >
      <canvas ref={still} />
      <canvas ref={moving} />
    </div>
  );
}

/** An empty canvas of a size in CSS pixels, as sharp as the screen. */
function cleared(
  canvas: HTMLCanvasElement,
  { width, height, ratio }: { width: number; height: number; ratio: number },
): CanvasRenderingContext2D | null {
  const context = canvas.getContext("2d");
  if (!context) return null;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
