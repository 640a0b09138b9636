import { expect, test } from "vitest";

import { Sharpness } from "../../../platform/diffusiontalker/studio/src/head/sharpness";

/** How often the share changed while pictures came at an interval. */
function changes(
  sharpness: Sharpness,
  intervalMs: number,
  pictures = 80,
): number {
  return Array.from({ length: pictures }, () =>
    sharpness.note(intervalMs),
  ).filter(Boolean).length;
}

test("a machine that keeps up draws every pixel", () => {
  const sharpness = new Sharpness();
  expect(changes(sharpness, 17)).toBe(0);
  expect(changes(sharpness, 33)).toBe(0);
  expect(sharpness.share).toBe(1);
});

test("a slow one draws fewer, but never next to none", () => {
  const sharpness = new Sharpness();
  expect(changes(sharpness, 300)).toBe(3);
  expect(sharpness.share).toBe(0.35);
});

test("a standstill changes nothing", () => {
  const sharpness = new Sharpness();
  for (let index = 0; index < 40; index++)
    expect(sharpness.note(index % 8 ? 17 : 900)).toBe(false);
});
