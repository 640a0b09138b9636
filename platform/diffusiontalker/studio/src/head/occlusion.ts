/**
 * How much of the surroundings each point of a head sees: what lies in folds, under the chin and in the mouth is darker.
 *
 * Computed once when a head is loaded, for the face at rest and with its jaw open; the shader goes between the two.
 * For many directions the head is drawn into a small depth picture, and every vertex asks whether it is hidden there.
 */
import { BufferAttribute, type Mesh, Vector3 } from "three";

const DIRECTIONS = 48;
const PIXELS = 160;
/** More would take seconds; such heads carry occlusion in their textures. */
const MOST_TRIANGLES = 60_000;

/** What sees less than this is inside. */
const HIDDEN = 0.12;

interface Surface {
  positions: Float32Array;
  triangles: Int32Array;
}

/** Adds the attribute `occlusion` (at rest, jaw open; 1 sees everything) to the meshes; false for too large ones. */
export function addOcclusion(meshes: readonly Mesh[], jawOpen: (mesh: Mesh) => number | undefined): boolean {
  const corners = meshes.reduce(
    (sum, { geometry }) => sum + (geometry.index ?? geometry.attributes.position!).count,
    0,
  );
  if (corners > 3 * MOST_TRIANGLES) return false;
  const poses = [0, 0.8].map((weight) => visibility(posed(meshes, jawOpen, weight)));
  let start = 0;
  for (const { geometry } of meshes) {
    const { count } = geometry.attributes.position!;
    const values = new Uint8Array(2 * count);
    for (let vertex = 0; vertex < count; vertex++) {
      const [closed, open] = poses.map((pose) => pose[start + vertex]!) as [number, number];
      // What only an open mouth shows (teeth, tongue) is never seen in the dark of a closed one.
      values[2 * vertex] = Math.round(255 * (closed < HIDDEN ? Math.max(closed, 0.7 * open) : closed));
      values[2 * vertex + 1] = Math.round(255 * open);
    }
    geometry.setAttribute("occlusion", new BufferAttribute(values, 2, true));
    start += count;
  }
  return true;
}

/** All meshes as one surface in the coordinates of the scene. */
function posed(meshes: readonly Mesh[], jawOpen: (mesh: Mesh) => number | undefined, weight: number): Surface {
  const positions: number[] = [];
  const triangles: number[] = [];
  const point = new Vector3();
  for (const mesh of meshes) {
    const target = jawOpen(mesh);
    const start = positions.length / 3;
    if (target !== undefined) mesh.morphTargetInfluences![target] = weight;
    for (let vertex = 0; vertex < mesh.geometry.attributes.position!.count; vertex++) {
      mesh.getVertexPosition(vertex, point).applyMatrix4(mesh.matrixWorld);
      positions.push(point.x, point.y, point.z);
    }
    if (target !== undefined) mesh.morphTargetInfluences![target] = 0;
    const { index } = mesh.geometry;
    const count = index ? index.count : positions.length / 3 - start;
    for (let corner = 0; corner < count; corner++) triangles.push(start + (index ? index.getX(corner) : corner));
  }
  return { positions: new Float32Array(positions), triangles: new Int32Array(triangles) };
}

function visibility({ positions, triangles }: Surface): Float32Array {
  const normals = normalsOf(positions, triangles);
  const count = positions.length / 3;
  const [center, radius] = sphereRound(positions);
  const [across, up, depth] = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
  const picture = new Float32Array(PIXELS * PIXELS);
  const [seen, total] = [new Float32Array(count), new Float32Array(count)];
  for (let number = 0; number < DIRECTIONS; number++) {
    const direction = spread(number, DIRECTIONS);
    const right = new Vector3(-direction.z, 0, direction.x).normalize();
    const above = direction.clone().cross(right);
    const scale = (PIXELS / 2 - 2) / radius;
    for (let vertex = 0; vertex < count; vertex++) {
      const x = positions[3 * vertex]! - center.x;
      const y = positions[3 * vertex + 1]! - center.y;
      const z = positions[3 * vertex + 2]! - center.z;
      across[vertex] = (x * right.x + z * right.z) * scale + PIXELS / 2;
      up[vertex] = (x * above.x + y * above.y + z * above.z) * scale + PIXELS / 2;
      depth[vertex] = x * direction.x + y * direction.y + z * direction.z;
    }
    picture.fill(-Infinity);
    draw(picture, triangles, across, up, depth);
    const slack = (2.2 / PIXELS) * radius;
    for (let vertex = 0; vertex < count; vertex++) {
      const facing =
        normals[3 * vertex]! * direction.x +
        normals[3 * vertex + 1]! * direction.y +
        normals[3 * vertex + 2]! * direction.z;
      if (facing <= 0) continue;
      total[vertex]! += facing;
      const nearest = picture[Math.floor(up[vertex]!) * PIXELS + Math.floor(across[vertex]!)]!;
      // What is only just in front dims gradually, which hides the grain of the picture.
      const hidden = Math.min(Math.max((nearest - depth[vertex]! - slack) / (2 * slack), 0), 1);
      seen[vertex]! += facing * (1 - hidden);
    }
  }
  return smoothed(
    seen.map((value, vertex) => (total[vertex] ? value / total[vertex]! : 1)),
    triangles,
  );
}

/** Keeps in each pixel the nearest point of the triangles over it. */
function draw(
  picture: Float32Array,
  triangles: Int32Array,
  across: Float32Array,
  up: Float32Array,
  depth: Float32Array,
): void {
  for (let corner = 0; corner + 2 < triangles.length; corner += 3) {
    const [a, b, c] = [triangles[corner]!, triangles[corner + 1]!, triangles[corner + 2]!];
    const [ax, ay, bx, by, cx, cy] = [across[a]!, up[a]!, across[b]!, up[b]!, across[c]!, up[c]!];
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (Math.abs(area) < 1e-9) continue;
    const [left, right] = [Math.floor(Math.min(ax, bx, cx)), Math.ceil(Math.max(ax, bx, cx))];
    const [low, high] = [Math.floor(Math.min(ay, by, cy)), Math.ceil(Math.max(ay, by, cy))];
    for (let y = low; y < high; y++) {
      for (let x = left; x < right; x++) {
        const first = ((bx - x - 0.5) * (cy - y - 0.5) - (by - y - 0.5) * (cx - x - 0.5)) / area;
        const second = ((cx - x - 0.5) * (ay - y - 0.5) - (cy - y - 0.5) * (ax - x - 0.5)) / area;
        const third = 1 - first - second;
        if (first < 0 || second < 0 || third < 0) continue;
        const here = first * depth[a]! + second * depth[b]! + third * depth[c]!;
        const place = y * PIXELS + x;
        if (here > picture[place]!) picture[place] = here;
      }
    }
  }
}

/** Evenly spread directions (a spiral of the golden angle). */
function spread(number: number, count: number): Vector3 {
  const y = 1 - (2 * number + 1) / count;
  const turn = number * Math.PI * (3 - Math.sqrt(5));
  return new Vector3(Math.cos(turn) * Math.sqrt(1 - y * y), y, Math.sin(turn) * Math.sqrt(1 - y * y));
}

function sphereRound(positions: Float32Array): [Vector3, number] {
  const low = new Vector3(Infinity, Infinity, Infinity);
  const high = low.clone().negate();
  const point = new Vector3();
  for (let at = 0; at < positions.length; at += 3) {
    point.fromArray(positions, at);
    low.min(point);
    high.max(point);
  }
  return [low.clone().add(high).multiplyScalar(0.5), 0.5 * low.distanceTo(high) || 1];
}

function normalsOf(positions: Float32Array, triangles: Int32Array): Float32Array {
  const normals = new Float32Array(positions.length);
  const [a, b, c] = [new Vector3(), new Vector3(), new Vector3()];
  for (let corner = 0; corner + 2 < triangles.length; corner += 3) {
    const vertices = triangles.subarray(corner, corner + 3);
    a.fromArray(positions, 3 * vertices[0]!);
    b.fromArray(positions, 3 * vertices[1]!).sub(a);
    c.fromArray(positions, 3 * vertices[2]!).sub(a);
    b.cross(c);
    for (const vertex of vertices) {
      normals[3 * vertex]! += b.x;
      normals[3 * vertex + 1]! += b.y;
      normals[3 * vertex + 2]! += b.z;
    }
  }
  for (let at = 0; at < normals.length; at += 3) a.fromArray(normals, at).normalize().toArray(normals, at);
  return normals;
}

/** Each value moved half way to the mean of its neighbours. */
function smoothed(values: Float32Array, triangles: Int32Array): Float32Array {
  const sums = new Float32Array(values.length);
  const counts = new Float32Array(values.length);
  for (let corner = 0; corner + 2 < triangles.length; corner += 3) {
    const vertices = triangles.subarray(corner, corner + 3);
    const sum = values[vertices[0]!]! + values[vertices[1]!]! + values[vertices[2]!]!;
    for (const vertex of vertices) {
      sums[vertex]! += sum;
      counts[vertex]! += 3;
    }
  }
  return values.map((value, vertex) =>
    counts[vertex] ? 0.5 * value + (0.5 * sums[vertex]!) / counts[vertex]! : value,
  );
}
