import { expect, test } from "vitest";

import {
  column,
  difference,
  figures,
  resampled,
  type Motion,
} from "../../../platform/diffusiontalker/studio/src/motion";

function motion(
  fps: number,
  seconds: number,
  curves: Record<string, (timeS: number) => number>,
): Motion {
  const names = Object.keys(curves);
  const numFrames = Math.round(fps * seconds);
  const weights = new Float32Array(numFrames * names.length);
  for (let frame = 0; frame < numFrames; frame++) {
    names.forEach(
      (name, channel) =>
        (weights[frame * names.length + channel] = curves[name]!(frame / fps)),
    );
  }
  return { fps, names, numFrames, weights };
}

test("motions of other rates, lengths and channels are compared where both are", () => {
  const one = motion(25, 2, {
    jawOpen: (time) => time / 4,
    tongueOut: () => 1,
  });
  const other = motion(50, 1, {
    mouthClose: () => 0.5,
    jawOpen: (time) => time / 4 + 0.25,
  });
  const both = difference(one, other)!;
  expect([both.fps, both.names, both.numFrames]).toEqual([50, ["jawOpen"], 50]);
  for (const value of both.weights) expect(value).toBeCloseTo(0.25, 5);
  expect(difference(one, motion(25, 1, { mouthClose: () => 0 }))).toBeNull();
});

test("figures are those of the closed form", () => {
  const one = motion(100, 1, {
    jawOpen: (time) => 0.5 + 0.5 * Math.sin(2 * Math.PI * time),
  });
  const shifted = motion(100, 1, {
    jawOpen: (time) => 0.4 + 0.5 * Math.sin(2 * Math.PI * time),
  });
  const against = motion(100, 1, {
    jawOpen: (time) => 0.5 + 0.5 * Math.cos(2 * Math.PI * time),
  });
  expect(figures(one, shifted, "jawOpen")!.meanError).toBeCloseTo(0.1, 5);
  expect(figures(one, shifted, "jawOpen")!.correlation).toBeCloseTo(1, 5);
  expect(figures(one, against, "jawOpen")!.correlation).toBeCloseTo(0, 5);
  expect(figures(one, against, "jawOpen")!.largestError).toBeCloseTo(
    Math.SQRT1_2,
    2,
  );
  const still = motion(100, 1, { jawOpen: () => 0.5 });
  expect(figures(one, still, "jawOpen")).toMatchObject({ correlation: null });
  expect(figures(one, still, "jawOpen")!.meanError).toBeCloseTo(1 / Math.PI, 3);
  expect(figures(one, still, "tongueOut")).toBeNull();
});

test("resampling keeps instants", () => {
  const curve = motion(25, 1, { jawOpen: (time) => time });
  const finer = column(resampled(curve, 60), "jawOpen")!;
  expect(finer).toHaveLength(60);
  expect(finer[30]).toBeCloseTo(0.5);
  expect(finer[59]).toBeCloseTo(0.96);
});
