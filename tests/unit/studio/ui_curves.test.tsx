import { expect, test } from "vitest";

import {
  apart,
  channelsBy,
  chipOf,
  mostActive,
  rowsFor,
  valueAt,
} from "../../../platform/diffusiontalker/studio/src/ui/timeline/curves";
import {
  rowsOf,
  scaleOf,
  tickOf,
} from "../../../platform/diffusiontalker/studio/src/ui/timeline/draw";

const NAMES = ["jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp"];

function motion(...frames: number[][]) {
  return {
    fps: 10,
    names: NAMES,
    numFrames: frames.length,
    weights: Float32Array.from(frames.flat()),
  };
}

const TALKING = motion([0, 0.2, 0.2, 0], [1, 0.6, 0.7, 0], [0, 0.2, 0.2, 0.1]);

test("channels that move most come first, one of each pair", () => {
  expect(channelsBy([TALKING], "all")).toEqual([
    "jawOpen",
    "mouthSmileRight",
    "mouthSmileLeft",
    "browInnerUp",
  ]);
  expect(mostActive([TALKING], "all")).toEqual([
    "jawOpen",
    "mouthSmileRight",
    "browInnerUp",
  ]);
  expect(channelsBy([TALKING], "mouth")).toEqual([
    "mouthSmileRight",
    "mouthSmileLeft",
  ]);
  expect(channelsBy([TALKING], "tongue")).toEqual([]);
});

test("the chip is that of the chosen channels", () => {
  expect(chipOf([])).toBe("all");
  expect(chipOf(["mouthSmileLeft", "mouthClose"])).toBe("mouth");
  expect(chipOf(["mouthSmileLeft", "jawOpen"])).toBeNull();
});

test("rows hold both motions; what one lacks is missing there", () => {
  const truth = {
    fps: 20,
    names: ["jawOpen"],
    numFrames: 2,
    weights: Float32Array.of(0, 0.5),
  };
  const [jaw, brow] = rowsFor(["jawOpen", "browInnerUp"], TALKING, truth);
  expect([...jaw!.a!.values]).toEqual([0, 1, 0]);
  expect(jaw!.b).toEqual({ fps: 20, values: Float32Array.of(0, 0.5) });
  expect(brow!.b).toBeNull();
  expect(brow!.apart).toBeNull();
  expect(valueAt(jaw!.a!, 0.05)).toBeCloseTo(0.5);
  expect(valueAt(jaw!.a!, 9)).toBe(0);
});

test("how far apart two motions are", () => {
  const still = motion([0, 0.2, 0.2, 0], [1, 0.6, 0.7, 0], [0, 0.2, 0.2, 0.5]);
  const [brow] = rowsFor(["browInnerUp"], TALKING, still);
  expect([...brow!.apart!.values].map((value) => value.toFixed(4))).toEqual([
    "0.0000",
    "0.0000",
    "0.4000",
  ]);
  const both = apart(TALKING, still)!;
  expect(both.meanError).toBeCloseTo(0.4 / 12);
  expect(both.jawCorrelation).toBeCloseTo(1);
  expect(apart(TALKING, null)).toBeNull();
});

test("rows, scale and axis fit what they hold", () => {
  const rows = rowsOf(400, 200, true);
  expect(rows.waveform[1]).toBeLessThan(rows.curves[0]);
  expect(rows.curves[1]).toBeLessThan(rows.difference![0]);
  expect(rows.difference![1]).toBe(rows.axis[0]);
  const curve = (value: number) => ({
    color: "",
    fps: 1,
    isDashed: false,
    values: Float32Array.of(0, value),
  });
  expect([0.05, 0.2, 0.4, 0.6].map((value) => scaleOf([curve(value)]))).toEqual(
    [0.1, 0.25, 0.5, 0.75],
  );
  expect(tickOf(8, 1000)).toBe(1);
  expect(tickOf(300, 340)).toBe(60);
});
