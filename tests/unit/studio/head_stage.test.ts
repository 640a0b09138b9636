import {
  BufferAttribute,
  BufferGeometry,
  Mesh,
  MeshStandardMaterial,
  ShaderLib,
} from "three";
import { expect, test } from "vitest";

import { addOcclusion } from "../../../platform/diffusiontalker/studio/src/head/occlusion";
import {
  PARTS,
  occlusionPatch,
} from "../../../platform/diffusiontalker/studio/src/head/shaders";
import { Stage } from "../../../platform/diffusiontalker/studio/src/head/stage";
import { Stopwatch } from "../../../platform/diffusiontalker/studio/src/head/stopwatch";

/** A horizontal square, seen from above and below. */
function square(half: number, y: number): Mesh {
  const geometry = new BufferGeometry();
  const corners = [
    -half,
    y,
    -half,
    half,
    y,
    -half,
    half,
    y,
    half,
    -half,
    y,
    half,
  ];
  geometry.setAttribute(
    "position",
    new BufferAttribute(new Float32Array(corners), 3),
  );
  geometry.setIndex([0, 2, 1, 0, 3, 2]);
  const mesh = new Mesh(geometry, new MeshStandardMaterial());
  mesh.updateMatrixWorld();
  return mesh;
}

function occlusionOf(mesh: Mesh): number[] {
  const { occlusion } = mesh.geometry.attributes;
  return Array.from({ length: occlusion!.count }, (_, vertex) =>
    occlusion!.getX(vertex),
  );
}

test("a browser without WebGL is told so in words", () => {
  expect(() => new Stage(document.createElement("canvas"))).toThrow(
    /needs WebGL 2.*hardware acceleration/,
  );
});

test("what lies under a roof is darker than the roof", () => {
  const [floor, roof] = [square(1, 0), square(1.5, 0.3)];
  expect(addOcclusion([floor, roof], () => undefined)).toBe(true);
  expect(Math.min(...occlusionOf(roof))).toBeGreaterThan(0.95);
  expect(Math.max(...occlusionOf(floor))).toBeLessThan(0.4);
  const alone = square(1, 0);
  addOcclusion([alone], () => undefined);
  expect(Math.min(...occlusionOf(alone))).toBeGreaterThan(0.95);
});

test("very large heads go without occlusion", () => {
  const mesh = square(1, 0);
  mesh.geometry.setIndex(
    Array.from({ length: 3 * 60_001 }, (_, corner) => corner % 4),
  );
  expect(addOcclusion([mesh], () => undefined)).toBe(false);
  expect(mesh.geometry.attributes.occlusion).toBeUndefined();
});

test.each(Object.keys(PARTS))(
  "three's shader still has the places where that of %s is changed",
  (part) => {
    const shader = {
      vertexShader: ShaderLib.physical.vertexShader,
      fragmentShader: ShaderLib.physical.fragmentShader,
    };
    for (const patch of [...PARTS[part]!, occlusionPatch([0, 3])])
      patch(shader);
    expect(shader.vertexShader).toContain(
      "1.0 * morphTargetInfluences[0] + 0.4 * morphTargetInfluences[3]",
    );
  },
);

test("the stopwatch gives the median of the last measurements", () => {
  const stopwatch = new Stopwatch();
  expect(stopwatch.medianMs).toBe(0);
  for (const value of [9, 1, 2]) stopwatch.add(value);
  expect(stopwatch.medianMs).toBe(2);
  for (let count = 0; count < 200; count++) stopwatch.add(5);
  expect(stopwatch.medianMs).toBe(5);
});
