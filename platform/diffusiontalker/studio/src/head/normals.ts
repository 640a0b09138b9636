/**
 * Normals that follow the shapes. Few GLBs carry them, and without them an open mouth is lit as if it were closed.
 *
 * A shape's offset of normals is the difference between the normals of the head with the shape at 1 and at rest, both
 * computed from triangles. Vertices at one place count as one, so that seams of textures stay invisible.
 */
import { BufferAttribute, type BufferGeometry } from "three";

/** Adds normals at rest and per shape where the geometry lacks them. Offsets of positions must be relative. */
export function addMorphNormals(geometry: BufferGeometry): void {
  const shapes = geometry.morphAttributes.position;
  if (!geometry.attributes.normal) geometry.computeVertexNormals();
  if (!shapes?.length || geometry.morphAttributes.normal) return;
  const place = weld(geometry);
  const corners = weldedCorners(geometry, place);
  const trianglesAt = trianglesAtPlaces(corners, place);
  const rest = new Float32Array(geometry.attributes.position!.count * 3);
  copyInto(rest, geometry.attributes.position as BufferAttribute);
  const restNormals = new Float32Array(rest.length);
  for (let at = 0; at < place.length; at++)
    if (place[at] === at) addNormal(restNormals, at, rest, corners, trianglesAt);

  const moved = new Float32Array(rest);
  geometry.morphAttributes.normal = shapes.map((shape) => {
    const offsets = new Float32Array(rest.length);
    const touched = movePlaces(moved, rest, shape as BufferAttribute, place, corners, trianglesAt);
    for (const at of touched) {
      addNormal(offsets, at, moved, corners, trianglesAt);
      for (let axis = 0; axis < 3; axis++) offsets[3 * at + axis]! -= restNormals[3 * at + axis]!;
    }
    for (let vertex = 0; vertex < place.length; vertex++) {
      const at = place[vertex]!;
      if (at !== vertex) offsets.copyWithin(3 * vertex, 3 * at, 3 * at + 3);
    }
    moved.set(rest);
    return new BufferAttribute(offsets, 3);
  });
}

interface Adjacency {
  /** Start in `triangles` of what touches each place; one more entry than places. */
  starts: Int32Array;
  triangles: Int32Array;
}

/** For each vertex the first one at the same place. */
function weld(geometry: BufferGeometry): Int32Array {
  const position = geometry.attributes.position!;
  const first = new Map<string, number>();
  return Int32Array.from({ length: position.count }, (_, vertex) => {
    const key = `${position.getX(vertex)},${position.getY(vertex)},${position.getZ(vertex)}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, vertex);
    return known ?? vertex;
  });
}

function weldedCorners(geometry: BufferGeometry, place: Int32Array): Int32Array {
  const index = geometry.index;
  const count = index ? index.count : place.length;
  return Int32Array.from({ length: count - (count % 3) }, (_, corner) => place[index ? index.getX(corner) : corner]!);
}

function trianglesAtPlaces(corners: Int32Array, place: Int32Array): Adjacency {
  const starts = new Int32Array(place.length + 1);
  for (const at of corners) starts[at + 1]!++;
  for (let at = 0; at < place.length; at++) starts[at + 1]! += starts[at]!;
  const filled = starts.slice();
  const triangles = new Int32Array(corners.length);
  corners.forEach((at, corner) => (triangles[filled[at]!++] = Math.floor(corner / 3)));
  return { starts, triangles };
}

function copyInto(target: Float32Array, source: BufferAttribute): void {
  for (let row = 0; row < source.count; row++) {
    target[3 * row] = source.getX(row);
    target[3 * row + 1] = source.getY(row);
    target[3 * row + 2] = source.getZ(row);
  }
}

/** Moves the places of `moved` by a shape; gives all places whose normals that changes. */
function movePlaces(
  moved: Float32Array,
  rest: Float32Array,
  shape: BufferAttribute,
  place: Int32Array,
  corners: Int32Array,
  { starts, triangles }: Adjacency,
): Set<number> {
  const touched = new Set<number>();
  for (let vertex = 0; vertex < place.length; vertex++) {
    const [x, y, z] = [shape.getX(vertex), shape.getY(vertex), shape.getZ(vertex)];
    const at = place[vertex]!;
    if (at !== vertex || (x === 0 && y === 0 && z === 0)) continue;
    moved[3 * at] = rest[3 * at]! + x;
    moved[3 * at + 1] = rest[3 * at + 1]! + y;
    moved[3 * at + 2] = rest[3 * at + 2]! + z;
    for (let entry = starts[at]!; entry < starts[at + 1]!; entry++) {
      const corner = 3 * triangles[entry]!;
      touched
        .add(corners[corner]!)
        .add(corners[corner + 1]!)
        .add(corners[corner + 2]!);
    }
  }
  return touched;
}

/** Writes the unit normal of one place: the area-weighted mean of the triangles round it; nil where there is none. */
function addNormal(
  normals: Float32Array,
  at: number,
  positions: Float32Array,
  corners: Int32Array,
  { starts, triangles }: Adjacency,
): void {
  let [sumX, sumY, sumZ] = [0, 0, 0];
  for (let entry = starts[at]!; entry < starts[at + 1]!; entry++) {
    const corner = 3 * triangles[entry]!;
    const [a, b, c] = [3 * corners[corner]!, 3 * corners[corner + 1]!, 3 * corners[corner + 2]!];
    const [px, py, pz] = [positions[a]!, positions[a + 1]!, positions[a + 2]!];
    const [ux, uy, uz] = [positions[b]! - px, positions[b + 1]! - py, positions[b + 2]! - pz];
    const [vx, vy, vz] = [positions[c]! - px, positions[c + 1]! - py, positions[c + 2]! - pz];
    sumX += uy * vz - uz * vy;
    sumY += uz * vx - ux * vz;
    sumZ += ux * vy - uy * vx;
  }
  const length = Math.hypot(sumX, sumY, sumZ) || 1;
  normals[3 * at] = sumX / length;
  normals[3 * at + 1] = sumY / length;
  normals[3 * at + 2] = sumZ / length;
}
