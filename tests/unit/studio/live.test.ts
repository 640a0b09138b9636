import { describe, expect, test } from "vitest";

import { CaptureClock } from "../../../platform/diffusiontalker/studio/src/live/capture-clock";
import { LiveTake } from "../../../platform/diffusiontalker/studio/src/live/take";
import { Pacer } from "../../../platform/diffusiontalker/studio/src/live/pacer";

const DISPLAY_MS = 1000 / 60;

/** Deterministic numbers in [0, 1). */
function randomly(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

describe("the clock of recorded sound", () => {
  test("messages that came late do not move it", () => {
    const clock = new CaptureClock();
    const random = randomly(3);
    for (let soundMs = 20; soundMs < 6000; soundMs += 20) {
      const isLate = random() < 0.9;
      clock.note(soundMs, 1000 + soundMs + (isLate ? 30 * random() : 1));
      if (soundMs > 1000)
        expect(clock.pageMs(soundMs)).toBeLessThan(1000 + soundMs + 4);
      expect(clock.pageMs(soundMs)).toBeGreaterThanOrEqual(1000 + soundMs);
    }
  });

  test("a sound card that stumbled is believed after a few seconds", () => {
    const clock = new CaptureClock();
    for (let soundMs = 20; soundMs < 5000; soundMs += 20)
      clock.note(soundMs, soundMs);
    for (let soundMs = 5000; soundMs < 9100; soundMs += 20)
      clock.note(soundMs, soundMs + 300);
    expect(clock.pageMs(9100)).toBe(9400);
  });
});

describe("the pace of the face", () => {
  /** Plays `seconds` with frames of 25 fps that come `latenessMs(frame)` after their instant. */
  function played(
    pacer: Pacer,
    seconds: number,
    latenessMs: (frame: number) => number,
  ) {
    const arrivals = Array.from(
      { length: seconds * 25 },
      (_, frame) => frame * 40 + latenessMs(frame),
    );
    const pictures: { nowMs: number; positionMs: number; newest: number }[] =
      [];
    let come = 0;
    for (let nowMs = 0; nowMs < seconds * 1000; nowMs += DISPLAY_MS) {
      while (come < arrivals.length && arrivals[come]! <= nowMs)
        pacer.note(come, 1, arrivals[come++]!);
      const positionMs = pacer.position(nowMs);
      if (positionMs !== null)
        pictures.push({ nowMs, positionMs, newest: come - 1 });
    }
    return pictures;
  }

  test("frames that come evenly are shown a constant while after their sound", () => {
    const pictures = played(new Pacer(25), 4, () => 230);
    for (const { nowMs, positionMs } of pictures)
      expect(nowMs - positionMs).toBeCloseTo(
        pictures[0]!.nowMs - pictures[0]!.positionMs,
        6,
      );
    expect(pictures[0]!.nowMs - pictures[0]!.positionMs).toBeLessThan(
      230 + 40 + 6,
    );
  });

  test("a network that wavers does not make the face stumble", () => {
    const random = randomly(7);
    const pacer = new Pacer(25);
    const pictures = played(pacer, 30, () => 200 + 30 * random()).filter(
      ({ nowMs }) => nowMs > 3000,
    );
    const steps = pictures
      .slice(1)
      .map(({ positionMs }, index) => positionMs - pictures[index]!.positionMs);
    expect(Math.min(...steps)).toBeGreaterThan(0.79 * DISPLAY_MS);
    expect(Math.max(...steps)).toBeLessThan(1.11 * DISPLAY_MS);
    const waiting = pictures.filter(
      ({ positionMs, newest }) => pacer.frameAt(positionMs) > newest,
    );
    expect(waiting.length / pictures.length).toBeLessThan(0.05);
  });

  test("between two frames the face rests first and then moves, without a jump", () => {
    const pacer = new Pacer(25);
    expect(
      [-5, 0, 29.9, 30, 35, 39.999, 40, 115].map((at) => pacer.frameAt(at)),
    ).toEqual([
      0,
      0,
      0,
      0,
      expect.closeTo(0.5),
      expect.closeTo(1, 3),
      1,
      expect.closeTo(2.5),
    ]);
  });

  test("half a second in which all stands still hardly delays the face", () => {
    // Frames from 10 s on come 200 ms after their instant, but not before 10.7 s.
    const pictures = played(new Pacer(25), 20, (frame) =>
      frame < 250 ? 200 : Math.max(200, 10_700 - 40 * frame),
    );
    const delays = pictures.map(({ nowMs, positionMs }) => nowMs - positionMs);
    expect(Math.max(...delays)).toBeLessThan(200 + 20 + 60);
    expect(delays.at(-1)).toBeLessThan(200 + 20 + 60);
  });

  test("an endpoint that has to warm up delays the face for a moment only", () => {
    const pictures = played(new Pacer(25), 4, (frame) =>
      Math.max(200, 700 - 40 * frame),
    );
    const after = pictures.filter(({ nowMs }) => nowMs > 2500);
    for (const { nowMs, positionMs } of after)
      expect(nowMs - positionMs).toBeLessThan(200 + 20 + 40);
  });

  test("a slower network is followed within seconds, a faster one slowly", () => {
    const pacer = new Pacer(25);
    const pictures = played(pacer, 40, (frame) =>
      frame < 250 ? 200 : frame < 500 ? 300 : 200,
    );
    const delayAt = (seconds: number): number => {
      const { nowMs, positionMs } = pictures.find(
        ({ nowMs }) => nowMs >= seconds * 1000,
      )!;
      return nowMs - positionMs;
    };
    expect(delayAt(13) - delayAt(9)).toBeCloseTo(100, 0);
    expect(delayAt(39) - delayAt(9)).toBeCloseTo(0, 0);
  });
});

describe("a live take", () => {
  test("sound and frames have one beginning", async () => {
    const take = new LiveTake(25, ["jawOpen", "tongueOut"], 8000);
    expect(take.motion()).toBeNull();
    for (let second = 0; second < 60; second++) {
      take.hear(new Int16Array(8000).fill(second));
      const weights = Float32Array.from({ length: 50 }, (_, index) =>
        index % 2 ? 1 : second / 60,
      );
      take.add({ firstFrame: second * 25, numFrames: 25, weights });
    }
    const motion = take.motion()!;
    expect([motion.numFrames, motion.weights.length, take.durationS]).toEqual([
      1500, 3000, 60,
    ]);
    expect(motion.weights[2 * 25 * 30]).toBeCloseTo(0.5);
    expect((await take.sound().arrayBuffer()).byteLength).toBe(
      44 + 2 * 8000 * 60,
    );
    const out = new Float32Array(2);
    take.sample(out, 749.5);
    expect(out[0]).toBeCloseTo(29.5 / 60);
    take.sample(out, 9999);
    expect(out[0]).toBeCloseTo(59 / 60);
  });

  test("sound that the endpoint did not animate before it ended is no part of it", () => {
    const take = new LiveTake(25, ["jawOpen"], 8000);
    for (let piece = 0; piece < 10; piece++) take.hear(new Int16Array(800));
    take.add({ firstFrame: 0, numFrames: 20, weights: new Float32Array(20) });
    expect(take.sound().size).toBe(44 + 2 * 6400);
  });

  test("a missing frame is no take", () => {
    const take = new LiveTake(25, ["jawOpen"], 8000);
    expect(() =>
      take.add({ firstFrame: 1, numFrames: 1, weights: new Float32Array(1) }),
    ).toThrow(/some are missing/);
  });
});
