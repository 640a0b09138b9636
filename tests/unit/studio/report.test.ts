import { expect, test } from "vitest";

import { column } from "../../../platform/diffusiontalker/studio/src/motion/motion";
import {
  readClips,
  unpacked,
} from "../../../platform/diffusiontalker/studio/src/report/clips";
// What Python writes; its tests compare it with this file.
import WRITTEN from "./played_clips.json?raw";

test("motions come out of a report as they went in", () => {
  const { system, curves, clips } = readClips(WRITTEN);
  expect([system, curves, clips.length]).toEqual(["teacher", ["jawOpen"], 1]);
  const [clip] = clips;
  expect(clip).toMatchObject({
    id: "anna_001",
    speaker: "anna",
    emotion: "joy",
    place: "median",
    lipErrorMm: 1.5,
    truth: { fps: 25, names: ["jawOpen", "mouthFunnel"], numFrames: 4 },
  });
  const near = (values: readonly number[]) =>
    values.map((value) => expect.closeTo(value, 4));
  expect([...column(clip!.truth, "jawOpen")!]).toEqual(near([0, 0.25, 0.5, 1]));
  expect([...column(clip!.truth, "mouthFunnel")!]).toEqual(
    near([0.5, 0.5, 0.5, 0.5]),
  );
  expect([...column(clip!.prediction, "jawOpen")!]).toEqual(
    near([0.5, 0.25, 0.125, 0]),
  );
  expect([...column(clip!.prediction, "mouthFunnel")!]).toEqual(
    near([0.1, 0.1, 0.1, 0.1]),
  );
});

test("the sound is FLAC", async () => {
  const { sound } = readClips(WRITTEN).clips[0]!;
  expect(sound.type).toBe("audio/flac");
  expect(await sound.slice(0, 4).text()).toBe("fLaC");
});

test("the head is unpacked", async () => {
  expect(
    new TextDecoder().decode(await unpacked(readClips(WRITTEN).head)),
  ).toBe("a head");
});

test("clips of another version are refused in words", () => {
  expect(() =>
    readClips(WRITTEN.replace('"version": 1', '"version": 2')),
  ).toThrow(
    "are 'diffusiontalker-played-clips' in version 2, but its player reads 'diffusiontalker-played-clips' in version 1",
  );
});
