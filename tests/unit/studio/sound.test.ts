import { expect, test, vi } from "vitest";

import { readableKind } from "../../../platform/diffusiontalker/studio/src/sound/kinds";
import {
  microphoneProblem,
  nextLevel,
} from "../../../platform/diffusiontalker/studio/src/sound/microphone";
import { peaksOf } from "../../../platform/diffusiontalker/studio/src/sound/peaks";
import {
  mixedDown,
  soundOf,
  soundProblem,
} from "../../../platform/diffusiontalker/studio/src/sound/sound";
import {
  toInt16,
  wavOf,
} from "../../../platform/diffusiontalker/studio/src/sound/wav";

const LIMITS = {
  minSeconds: 0.1,
  maxSeconds: 300,
  maxUploadBytes: 1000,
  maxReferences: 16,
  maxFps: 120,
};

test("samples become 16 bit integers, clipped at both ends", () => {
  expect([
    ...toInt16(new Float32Array([0, 0.5, -0.5, 1, -1, 2, -2, NaN])),
  ]).toEqual([0, 16384, -16384, 32767, -32768, 32767, -32768, 0]);
});

test("a WAV file holds its rate and all pieces in order", async () => {
  const file = wavOf(
    [new Int16Array([1, -2]), new Int16Array([3])],
    44_100,
    "take.wav",
  );
  const view = new DataView(await file.arrayBuffer());
  const text = (at: number, length: number): string =>
    String.fromCharCode(...new Uint8Array(view.buffer, at, length));
  expect([file.name, file.type, file.size]).toEqual([
    "take.wav",
    "audio/wav",
    50,
  ]);
  expect([text(0, 4), text(8, 8), text(36, 4)]).toEqual([
    "RIFF",
    "WAVEfmt ",
    "data",
  ]);
  expect([
    view.getUint32(4, true),
    view.getUint32(24, true),
    view.getUint32(40, true),
  ]).toEqual([42, 44_100, 6]);
  expect([
    view.getUint16(20, true),
    view.getUint16(22, true),
    view.getUint16(34, true),
  ]).toEqual([1, 1, 16]);
  expect([44, 46, 48].map((at) => view.getInt16(at, true))).toEqual([1, -2, 3]);
});

test("no peak is lost, however many columns there are", () => {
  const samples = new Float32Array(1001);
  samples[777] = 0.9;
  samples[778] = -0.8;
  for (const columns of [1, 7, 1000, 1001]) {
    const { low, high } = peaksOf(samples, columns);
    expect(Math.max(...high)).toBeCloseTo(0.9);
    expect(Math.min(...low)).toBeCloseTo(-0.8);
  }
  const { low, high } = peaksOf(new Float32Array([0.25, -0.5]), 4);
  expect([[...low], [...high]]).toEqual([
    [0.25, 0.25, -0.5, -0.5],
    [0.25, 0.25, -0.5, -0.5],
  ]);
  expect([...peaksOf(new Float32Array(0), 2).high]).toEqual([0, 0]);
});

test("files are known by how they begin, whatever they are called", () => {
  const bytes = (...parts: (string | number)[]): Uint8Array =>
    Uint8Array.from(
      parts.flatMap((part) =>
        typeof part === "string"
          ? [...part].map((letter) => letter.charCodeAt(0))
          : [part],
      ),
    );
  const ogg = (packet: string): Uint8Array =>
    bytes(`OggS${"\0".repeat(24)}${packet}`);
  expect(readableKind(bytes("RIFF....WAVEfmt "))).toBe("wav");
  expect(readableKind(bytes("RIFF....AVI LIST"))).toBeNull();
  expect(readableKind(bytes("fLaC"))).toBe("flac");
  expect(readableKind(ogg("\x01vorbis"))).toBe("ogg");
  expect(readableKind(ogg("OpusHead"))).toBe("ogg");
  expect(readableKind(ogg("\x80theora"))).toBeNull();
  expect(readableKind(bytes("ID3\x04"))).toBe("mp3");
  expect(readableKind(bytes(0xff, 0xfb, 0x90))).toBe("mp3");
  expect(readableKind(bytes(0xff, 0xf1, 0x50))).toBeNull(); // AAC
  expect(readableKind(bytes("\x1aE\xdf\xa3"))).toBeNull(); // WebM
  expect(readableKind(bytes())).toBeNull();
});

test("what the endpoint would refuse is told before it goes up", () => {
  const sound = (durationS: number, bytes = 10, loudness = 0.5) => ({
    name: "hello.wav",
    durationS,
    samples: new Float32Array(10).fill(loudness),
    upload: new File([new Uint8Array(bytes)], "hello.wav"),
  });
  expect(soundProblem(sound(3), LIMITS)).toBeNull();
  expect(soundProblem(sound(301.2), LIMITS)).toBe(
    "hello.wav lasts 301 s, at most 300 s are animated at once; cut it",
  );
  expect(soundProblem(sound(0.05), LIMITS)).toMatch(
    /^hello.wav lasts 0.05 s, at least 0.1 s are needed/,
  );
  expect(soundProblem(sound(3, 1001), LIMITS)).toMatch(/at most 0 MB/);
  expect(soundProblem(sound(3, 10, 0.0005), LIMITS)).toMatch(
    /^hello.wav is silent/,
  );
});

test("an empty file is told before it is decoded", async () => {
  await expect(soundOf(new File([], "none.wav"), LIMITS)).rejects.toThrow(
    /none.wav is empty/,
  );
});

test("hours of sound are refused before they are decoded, but not by a guess that is near", async () => {
  let said = 3600;
  vi.stubGlobal("OfflineAudioContext", undefined); // decoding fails with another message
  vi.stubGlobal(
    "Audio",
    class {
      onloadedmetadata: (() => void) | null = null;
      get duration() {
        return said;
      }
      set src(_: string) {
        queueMicrotask(() => this.onloadedmetadata?.());
      }
      removeAttribute() {}
    },
  );
  const open = () =>
    soundOf(new File([new Uint8Array(9e6)], "day.mp3"), LIMITS);
  await expect(open()).rejects.toThrow(
    "day.mp3 lasts 3600 s, at most 300 s are animated at once; cut it",
  );
  for (said of [400, Infinity])
    await expect(open()).rejects.not.toThrow(/day.mp3 lasts/);
  vi.unstubAllGlobals();
});

test("channels are averaged", () => {
  expect([
    ...mixedDown([new Float32Array([1, 0]), new Float32Array([0, 0.5])]),
  ]).toEqual([0.5, 0.25]);
});

test("the level jumps up at once and falls by half in 0.15 s", () => {
  expect(nextLevel(0, new Float32Array([0.1, -0.75]), 8000)).toBeCloseTo(0.75);
  expect(nextLevel(0.8, new Float32Array(1200), 8000)).toBeCloseTo(0.4);
});

test("each refusal of a microphone has its own way out", () => {
  const problems = [
    "NotAllowedError",
    "NotFoundError",
    "NotReadableError",
    "OverconstrainedError",
    "OddError",
  ].map(microphoneProblem);
  expect(new Set(problems).size).toBe(5);
  expect(problems[0]).toContain("allow it");
  expect(problems[4]).toContain("OddError");
});
