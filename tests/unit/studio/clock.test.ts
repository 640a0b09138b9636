import { expect, test } from "vitest";

import { SmoothClock } from "../../../platform/diffusiontalker/studio/src/playback/clock";

/** Follows an element that tells its time every `grainMs` only; the largest step and error of the pictures. */
function followed(grainMs: number, speed: number, seconds = 5) {
  const clock = new SmoothClock();
  clock.speed = speed;
  clock.jump(0, 0);
  let before = 0;
  let [leastStep, mostStep, mostError] = [Infinity, 0, 0];
  for (let nowMs = 1000 / 60; nowMs < seconds * 1000; nowMs += 1000 / 60) {
    const reading = (Math.floor(nowMs / grainMs) * grainMs * speed) / 1000;
    const time = clock.follow(reading, nowMs);
    leastStep = Math.min(leastStep, time - before);
    mostStep = Math.max(mostStep, time - before);
    mostError = Math.max(mostError, Math.abs(time - (nowMs / 1000) * speed));
    before = time;
  }
  return { leastStep, mostStep, mostError };
}

test("a coarse clock is followed in even steps, without running away", () => {
  for (const [grainMs, speed] of [
    [1, 1],
    [23, 1],
    [40, 0.5],
    [23, 2],
  ] as const) {
    const { leastStep, mostStep, mostError } = followed(grainMs, speed);
    expect(leastStep).toBeGreaterThan((0.7 * speed) / 60);
    expect(mostStep).toBeLessThan((1.3 * speed) / 60);
    expect(mostError).toBeLessThan(((grainMs + 2) * speed) / 1000);
  }
});

test("jumps and stalls are believed at once", () => {
  const clock = new SmoothClock();
  clock.jump(0, 0);
  expect(clock.follow(3, 16)).toBeCloseTo(3);
  for (let nowMs = 32; nowMs < 1000; nowMs += 16) clock.follow(3, nowMs);
  expect(clock.follow(3, 1000)).toBeLessThan(3.11);
  clock.jump(1, 1000);
  expect(clock.at(1500)).toBeCloseTo(1.5);
});
