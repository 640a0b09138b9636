import { expect, test } from "vitest";

import {
  column,
  durationS,
  sampleInto,
} from "../../../platform/diffusiontalker/studio/src/motion/motion";

const motion = {
  fps: 10,
  names: ["jawOpen", "mouthClose"],
  numFrames: 3,
  weights: new Float32Array([0, 1, 0.5, 0.5, 1, 0]),
};

test("weights between frames are interpolated, beyond the ends held", () => {
  const out = new Float32Array(2);
  const at = (timeS: number) => (sampleInto(out, motion, timeS), [...out]);
  expect(at(0.05)).toEqual([0.25, 0.75]);
  expect(at(-1)).toEqual([0, 1]);
  expect(at(9)).toEqual([1, 0]);
});

test("channels go by name", () => {
  expect([...column(motion, "mouthClose")!]).toEqual([1, 0.5, 0]);
  expect(column(motion, "tongueOut")).toBeNull();
  expect(durationS(motion)).toBeCloseTo(0.3);
});
