import { Mesh, Vector3 } from "three";
import { expect, test, vi } from "vitest";

import { portraitDistance } from "../../../platform/diffusiontalker/studio/src/head/framing";
import {
  Head,
  loadHead,
} from "../../../platform/diffusiontalker/studio/src/head/head";
import { tinyGlb } from "./head_glb";

const AVATAR = [
  {
    name: "face",
    targets: {
      "blendShape1.jawOpen": [0, -1, 0],
      MouthSmile_L: [1, 0, 0],
      viseme_aa: [0, 1, 0],
    },
  },
  { name: "teeth", targets: { JawOpen: [0, -0.5, 0] } },
  { name: "cap" },
] as const;

function avatar() {
  return loadHead(tinyGlb(AVATAR as never));
}

function influences(head: Head): number[][] {
  const found: number[][] = [];
  head.root.traverse(
    (node) =>
      node instanceof Mesh &&
      node.morphTargetInfluences &&
      found.push(node.morphTargetInfluences),
  );
  return found;
}

test("shapes are found by what their names mean, in all meshes", async () => {
  const model = await avatar();
  expect(model.shapeNames).toEqual(["jawOpen", "mouthSmileLeft"]);
  expect(model.missing).toHaveLength(50);
  expect(model.missing).not.toContain("jawOpen");
});

test("weights go by name to every mesh that has the shape", async () => {
  const head = new Head(await avatar());
  head.setWeights(
    ["tongueOut", "mouthSmileLeft", "jawOpen"],
    new Float32Array([0.9, 0.5, 0.25]),
  );
  expect(influences(head)).toEqual([[0.25, 0.5, 0], [0.25]]);
  expect([
    head.weight("jawOpen"),
    head.weight("mouthSmileLeft"),
    head.weight("tongueOut"),
  ]).toEqual([0.25, 0.5, 0]);
});

test("shapes that other names leave out return to rest", async () => {
  const head = new Head(await avatar());
  head.setWeights(["jawOpen"], new Float32Array([1]));
  head.setWeights(["mouthSmileLeft"], new Float32Array([1]));
  expect(influences(head)).toEqual([[0, 1, 0], [0]]);
});

test("two heads of one model move on their own and share their meshes", async () => {
  const model = await avatar();
  const [first, second] = [new Head(model), new Head(model)];
  first.setWeights(["jawOpen"], new Float32Array([1]));
  expect([first.weight("jawOpen"), second.weight("jawOpen")]).toEqual([1, 0]);
  const geometry = (head: Head) =>
    (head.root.getObjectByName("face") as Mesh).geometry;
  expect(geometry(first)).toBe(geometry(second));
});

test("a change is told once, and weights that stay are none", async () => {
  const head = new Head(await avatar());
  const names = ["jawOpen"];
  head.setWeights(names, new Float32Array([0.5]));
  head.onChange = vi.fn();
  head.setWeights(names, new Float32Array([0.5]));
  expect(head.onChange).not.toHaveBeenCalled();
  head.setWeights(names, new Float32Array([0.75]));
  expect(head.onChange).toHaveBeenCalledOnce();
});

test("normals follow the shapes", async () => {
  const model = await loadHead(tinyGlb([{ targets: { jawOpen: [0, 0, 1] } }]));
  const { geometry } = model.root.children[0] as Mesh;
  const normal = new Vector3().fromBufferAttribute(
    geometry.attributes.normal!,
    0,
  );
  const offset = new Vector3().fromBufferAttribute(
    geometry.morphAttributes.normal![0]!,
    0,
  );
  expect(normal.distanceTo(new Vector3(0, 0, 1))).toBe(0);
  const [edge, diagonal] = [new Vector3(2, 0, -1), new Vector3(2, 2, -1)];
  const up = new Vector3(0, 2, -1);
  const expected = edge
    .clone()
    .cross(diagonal)
    .add(diagonal.clone().cross(up))
    .normalize();
  expect(normal.add(offset).distanceTo(expected)).toBeLessThan(1e-6);
});

/** A face whose shapes move two opposite corners. */
function face(from: number[], to: number[]) {
  const targets = { jawOpen: [0, -0.1, 0], browInnerUp: [0.1, 0, 0] };
  return [
    { targets, from, to },
    { targets, from: to, to: to.map((value) => value + 0.01) },
  ] as never[];
}

test("a portrait shows a head alone, and the head of an avatar that has a body", async () => {
  const bust = await loadHead(
    tinyGlb([
      ...face([-8, -8, 8], [8, 8, 10]),
      { from: [-9, -14, -10], to: [9, 13, 10] },
    ]),
  );
  expect(bust.box.min.toArray()).toEqual([-9, -14, -10]);
  const avatar = await loadHead(
    tinyGlb([
      ...face([-7, 155, 8], [7, 170, 10]),
      { from: [-40, 0, -15], to: [40, 182, 15] },
    ]),
  );
  expect(avatar.box.min.y).toBeGreaterThan(140);
  expect(avatar.box.max.y).toBeGreaterThan(175);
  expect(avatar.box.max.x).toBeLessThan(15);
});

test("the camera stands far enough for the whole head, whatever the picture's shape", async () => {
  const { box } = await loadHead(tinyGlb(face([-1, -2, 0], [1, 2, 0])));
  const tangent = Math.tan((12 * Math.PI) / 180);
  expect(portraitDistance(box, 24, 2) * tangent).toBeGreaterThan(2);
  expect(portraitDistance(box, 24, 0.25) * tangent * 0.25).toBeGreaterThan(1);
});

test.each([
  [tinyGlb([{ name: "Chair" }]), /no morph targets \(it holds Chair\)/],
  [
    tinyGlb([{ targets: { viseme_aa: [0, 1, 0], Smile: [0, 1, 0] } }]),
    /ARKit name.*found: viseme_aa, Smile/,
  ],
  [
    tinyGlb([{ targets: { jawOpen: [0, 1, 0], Jaw_Open: [0, 1, 0] } }]),
    /mean jawOpen \(jawOpen, Jaw_Open\)/,
  ],
  [tinyGlb([{ targets: { jawOpen: [0, 1, 0] } }]).slice(0, 300), /cut off/],
  [
    tinyGlb([], { extensionsRequired: ["KHR_draco_mesh_compression"] }),
    /compressed \(KHR_draco_mesh_compression\)/,
  ],
  [
    tinyGlb([{ targets: { jawOpen: [0, 1, 0] } }], {
      asset: { version: "1.0" },
    }),
    /cannot be read.*export it again/,
  ],
  [
    new TextEncoder().encode('{"asset": {"version": "2.0"}, "scenes": []}')
      .buffer as ArrayBuffer,
    /no GLB/,
  ],
  [new ArrayBuffer(0), /no GLB/],
])(
  "a file that is no head is refused in words (%#)",
  async (bytes, message) => {
    await expect(loadHead(bytes)).rejects.toThrow(message);
  },
);

test("an address that leads nowhere is named", async () => {
  vi.stubGlobal("fetch", async () => new Response("", { status: 404 }));
  await expect(loadHead("/studio/head.glb")).rejects.toThrow(
    /\/studio\/head\.glb.*404/,
  );
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("network")));
  await expect(loadHead("/studio/head.glb")).rejects.toThrow(/does not answer/);
  vi.unstubAllGlobals();
});
