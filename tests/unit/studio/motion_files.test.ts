import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import {
  channelsOf,
  column,
  regionOf,
  REGIONS,
  readMotion,
} from "../../../platform/diffusiontalker/studio/src/motion";

function read(name: string, content: string | Uint8Array<ArrayBuffer>) {
  return readMotion(new File([content], name));
}

function rows(
  header: string,
  numRows: number,
  row: (index: number) => string,
): string {
  return (
    [header, ...Array.from({ length: numRows }, (_, index) => row(index))].join(
      "\n",
    ) + "\n"
  );
}

/** `HH:MM:SS:FF.sss` of a frame; so many frames a second, recorded at `fps`. */
function timecode(
  frame: number,
  fps: number,
  rate = 60,
  startS = 50_000,
): string {
  const second = Math.floor(startS + frame / fps) % 86_400;
  const part = ((frame / fps) % 1) * rate;
  const two = (value: number): string => String(value).padStart(2, "0");
  const time = [second / 3600, (second / 60) % 60, second % 60].map((value) =>
    two(Math.floor(value)),
  );
  return `${time.join(":")}:${part.toFixed(3).padStart(6, "0")}`;
}

describe("regions", () => {
  test("are those of the platform's list", () => {
    const python = readFileSync(
      `${import.meta.dirname}/../../../platform/diffusiontalker/face/arkit.py`,
      "utf8",
    );
    const block = /CHANNELS: tuple\[str, \.\.\.\] = \(([^)]*)\)/.exec(
      python,
    )![1]!;
    const names = [...block.matchAll(/"(\w+)"/g)].map(([, name]) => name!);
    expect(names).toHaveLength(52);
    expect(REGIONS.flatMap(channelsOf).toSorted()).toEqual(names.toSorted());
    const numbers = (region: (typeof REGIONS)[number]): number[] =>
      channelsOf(region).map((name) => names.indexOf(name));
    const range = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, index) => from + index);
    expect([...numbers("jaw"), ...numbers("mouth")]).toEqual(range(22, 49)); // LIP_CHANNELS
    expect(numbers("eyes")).toEqual(range(8, 22));
    expect([regionOf("tongueOut"), regionOf("jawDropped")]).toEqual([
      "tongue",
      null,
    ]);
  });
});

describe("CSV", () => {
  test("ours: the rate comes from the times, other columns are left out, names may be foreign", async () => {
    const { motion, notes } = await read(
      "a.csv",
      "\ufefftime_s,JawOpen,take,mouth_smile_L\r\n0.00,0.25,x,1\r\n0.04,0.5,y,0\r\n\r\n0.08,0.75,z,-0.25\r\n",
    );
    expect([motion.fps, motion.names, motion.numFrames, notes]).toEqual([
      25,
      ["jawOpen", "mouthSmileLeft"],
      3,
      [],
    ]);
    expect([...column(motion, "mouthSmileLeft")!]).toEqual([1, 0, -0.25]);
  });

  test("29.97 frames a second stay 29.97", async () => {
    const content = rows(
      "time_s,jawOpen",
      100,
      (index) => `${((index * 1001) / 30_000).toFixed(6)},0`,
    );
    expect((await read("a.csv", content)).motion.fps).toBeCloseTo(
      30_000 / 1001,
      3,
    );
  });

  test("cells in quotes may hold commas and line ends; lines are counted as editors do", async () => {
    const good =
      'time_s,note,jawOpen\n0,"one, ""two""\nthree",0.5\n0.1,,"0.25"\n';
    expect([...column((await read("a.csv", good)).motion, "jawOpen")!]).toEqual(
      [0.5, 0.25],
    );
    await expect(read("a.csv", good.replace("0.25", "x"))).rejects.toThrow(
      "line 4, column 'jawOpen' is 'x'",
    );
  });

  test.each([
    [
      "time_s;jawOpen\n0;1\n",
      /separated by semicolons; save it as comma-separated/,
    ],
    ["time_s,jawOpen\n", /holds no frames/],
    [
      "time_s,shoulder\n0,1\n",
      /no column is named after an ARKit channel such as jawOpen \(columns: time_s, shoulder\)/,
    ],
    [
      "time_s,jawOpen,jaw_open\n0,0,0\n",
      /columns jawOpen, jaw_open all mean jawOpen/,
    ],
    ["time_s,jawOpen\n0,0\n0.1\n", /line 3 has 1 cells, the header 2/],
    [
      "time_s,jawOpen\n0,\n",
      /line 2, column 'jawOpen' is '', expected a number/,
    ],
    [
      'time_s,jawOpen\n0,"0,5"\n',
      /is '0,5', expected a number with a decimal point/,
    ],
    [
      "time_s,jawOpen\n0,0\n0.1,nan\n0.2,0\n",
      /1 value is NaN or infinite, the first in line 3, column 'jawOpen'/,
    ],
    [
      "time_s,jawOpen\n0,0\n0.1,60\n0.2,0\n",
      /the first, 60, in line 3, .*divide percentages by 100/,
    ],
    ["time_s,jawOpen\n0,0\n0.1,255\n0.2,0\n", /divide bytes by 255/],
    [
      "time_s,jawOpen\n0,0\n0.1,0\n0.3,0\n",
      /steps from 0 to 0.1 s at line 3, expected even, growing steps/,
    ],
    ["time_s,jawOpen\n0,0\n0,0\n", /expected even, growing steps/],
    ["jawOpen\n0\n0\n", /tells no frame rate/],
    ["time,time_s,jawOpen\n0,0,0\n", /has 2 time columns/],
  ])("%j is refused in words", async (content, message) => {
    await expect(read("a.csv", content)).rejects.toThrow(message);
  });
});

describe("Live Link Face", () => {
  const header = "Timecode,BlendshapeCount,EyeBlinkLeft,JawOpen,HeadYaw";
  const line = (
    frame: number,
    fps: number,
    rate?: number,
    startS?: number,
  ): string =>
    `${timecode(frame, fps, rate, startS)},61,0,${(frame % 50) / 50},0.1`;

  test("60 ticks a second at 30 frames a second, past midnight", async () => {
    const content = rows(header, 90, (frame) => line(frame, 30, 60, 86_399));
    const { motion, notes } = await read("take_iPhone.csv", content);
    expect([motion.fps, motion.numFrames, motion.names, notes]).toEqual([
      30,
      90,
      ["eyeBlinkLeft", "jawOpen"],
      [],
    ]);
    expect(column(motion, "jawOpen")![49]).toBeCloseTo(0.98);
  });

  test("frames that were dropped or hold no face are filled and told, long gaps are refused", async () => {
    const kept = Array.from({ length: 120 }, (_, frame) => frame).filter(
      (frame) => frame !== 40 && frame !== 41,
    );
    const content = [
      header,
      ...kept.map((frame) =>
        frame === 70 ? line(70, 60).replace(",61,", ",0,") : line(frame, 60),
      ),
    ];
    const { motion, notes } = await read("a.csv", content.join("\n"));
    expect([motion.fps, motion.numFrames]).toEqual([60, 120]);
    expect(column(motion, "jawOpen")![40]).toBeCloseTo(0.8);
    expect(notes[0]).toMatch(
      /3 in all, gaps: 2, the longest 0.03 s before line 42/,
    );
    await expect(
      read(
        "a.csv",
        content.filter((_, index) => index < 20 || index > 60).join("\n"),
      ),
    ).rejects.toThrow(
      /frames \(0.\d\d s\) are missing before line 21, at most 0.25 s are filled/,
    );
  });

  test.each([
    [
      `${header}\n12:00:61:00.0,61,0,0,0\n`,
      /line 2, column 'Timecode' is '12:00:61:00.0'/,
    ],
    [
      `${header}\n12:00:01:00.0,7,0,0,0\n`,
      /column 'BlendshapeCount' is '7', expected 61, 52/,
    ],
    [`${header}\n12:00:01:00.0,0,0,0,0\n`, /no frame holds a face/],
    [
      `${header.replace("BlendshapeCount", "Count")}\n12:00:01:00.0,61,0,0,0\n`,
      /has no column BlendshapeCount/,
    ],
    [
      `${header}\n12:00:01:05.0,61,0,0,0\n12:00:01:03.0,61,0,0,0\n`,
      /time goes from .* at line 3, expected growing/,
    ],
  ])("%j is refused in words", async (content, message) => {
    await expect(read("a.csv", content)).rejects.toThrow(message);
  });

  test("a recording within one second is taken to have 60 ticks, which is told", async () => {
    const { motion, notes } = await read(
      "a.csv",
      rows(header, 20, (frame) => line(frame, 60)),
    );
    expect(motion.fps).toBe(60);
    expect(notes[0]).toContain("taken to be 60");
  });
});

describe("JSON", () => {
  test("ours, Audio2Face's and BEAT's", async () => {
    const ours = await read(
      "a.json",
      '{"fps": 30, "names": ["jawOpen", "neck"], "frames": [[0.5, 9], [1, 9]]}',
    );
    expect([
      ours.motion.fps,
      ours.motion.names,
      [...ours.motion.weights],
    ]).toEqual([30, ["jawOpen"], [0.5, 1]]);
    const exported = {
      exportFps: 60,
      numPoses: 1,
      numFrames: 2,
      facsNames: ["JawOpen"],
      weightMat: [[0.25], [0.5]],
    };
    const a2f = await read("a.json", JSON.stringify(exported));
    expect([a2f.motion.fps, [...column(a2f.motion, "jawOpen")!]]).toEqual([
      60,
      [0.25, 0.5],
    ]);
    const frames = [0, 1, 2, 4].map((frame) => ({
      weights: [frame / 8],
      time: frame / 60,
      rotation: [],
    }));
    const beat = await read(
      "a.json",
      JSON.stringify({ names: ["jawOpen"], frames }),
    );
    expect([beat.motion.fps, [...beat.motion.weights]]).toEqual([
      60,
      [0, 0.125, 0.25, 0.375, 0.5],
    ]);
  });

  test.each([
    ["{", /cannot be read as JSON/],
    ["[]", /expected an object with 'fps', 'names' and 'frames'/],
    ['{"names": ["jawOpen"], "frames": [[0]]}', /tells no frame rate/],
    [
      '{"fps": "30", "names": ["jawOpen"], "frames": [[0]]}',
      /its frame rate is "30"/,
    ],
    ['{"fps": 30, "names": ["jawOpen"], "frames": []}', /at least one frame/],
    [
      '{"fps": 30, "names": ["jawOpen"], "frames": [[0], [0, 1]]}',
      /frame 1 \(counted from 0\) holds 2, expected 1/,
    ],
    [
      '{"fps": 30, "names": ["jawOpen"], "frames": [[null]]}',
      /column 'jawOpen' is null, expected a number/,
    ],
    [
      '{"exportFps": 30, "numFrames": 3, "facsNames": ["jawOpen"], "weightMat": [[0]]}',
      /'numFrames' is 3, but there are 1/,
    ],
    [
      '{"names": ["jawOpen"], "frames": [{"weights": [0]}]}',
      /must be an object with 'weights' and 'time'/,
    ],
  ])("%s is refused in words", async (content, message) => {
    await expect(read("a.json", content)).rejects.toThrow(message);
  });
});

test("other files are refused before they are read", async () => {
  await expect(read("a.npz", "x")).rejects.toThrow(
    /diffusiontalker convert a.npz/,
  );
  await expect(read("a.csv", "")).rejects.toThrow(/is empty/);
  await expect(
    read("a.csv", new Uint8Array([0xff, 0xfe, 0x41, 0x00])),
  ).rejects.toThrow(/is not UTF-8/);
});
