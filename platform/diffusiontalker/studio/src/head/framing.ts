/** What a portrait shows: the head of a model, be it a bust in metres or an avatar with legs in centimetres. */
import { Box3, Mesh, type Object3D, Vector3 } from "three";

import { arkitName } from "./names";

/** A shape moves a vertex when it does so by this share of its largest offset. */
const MOVED_SHARE = 0.2;
/** What is taller than this times the face that ARKit's shapes move has a body below its head. */
const TALLEST_HEAD = 3.2;

/** The box round a model's head, in the coordinates of the model's root at rest. */
export function headBox(root: Object3D): Box3 {
  const whole = new Box3();
  const face = new Box3();
  const point = new Vector3();
  root.updateWorldMatrix(true, true);
  root.traverse((node) => {
    if (!(node instanceof Mesh)) return;
    const isMoved = movedVertices(node);
    const surface = node.geometry.attributes._surface;
    for (let vertex = 0; vertex < node.geometry.attributes.position!.count; vertex++) {
      if (surface && surface.getZ(vertex) > 0.5) continue; // faded out
      node.getVertexPosition(vertex, point).applyMatrix4(node.matrixWorld);
      whole.expandByPoint(point);
      if (isMoved?.[vertex]) face.expandByPoint(point);
    }
  });
  const size = face.getSize(new Vector3());
  const reach = face.isEmpty() ? 0 : Math.max(size.x, size.y);
  if (!reach || whole.getSize(point).y <= TALLEST_HEAD * reach) return whole;
  const portrait = new Box3();
  face.getCenter(point);
  portrait.min.set(-0.75, -0.9, -1.0).multiplyScalar(reach).add(point);
  portrait.max.set(0.75, 0.95, 0.5).multiplyScalar(reach).add(point);
  return portrait.intersect(whole);
}

/** How far a camera stands from a box's middle so that it fills the picture's height or width but for a margin. */
export function portraitDistance(box: Box3, fovDeg: number, aspect: number): number {
  const size = box.getSize(new Vector3());
  const tangent = Math.tan((fovDeg * Math.PI) / 360);
  // Turned heads are as wide as they are deep.
  const width = Math.max(size.x, 0.8 * size.z);
  return (1.08 * Math.max(size.y, width / aspect)) / (2 * tangent) + 0.35 * size.z;
}

function movedVertices(mesh: Mesh): Uint8Array | null {
  const shapes = mesh.geometry.morphAttributes.position;
  if (!shapes || !mesh.morphTargetDictionary) return null;
  const isMoved = new Uint8Array(mesh.geometry.attributes.position!.count);
  for (const [name, target] of Object.entries(mesh.morphTargetDictionary)) {
    const shape = shapes[target];
    if (!shape || !arkitName(name)) continue;
    const lengths = Float32Array.from({ length: shape.count }, (_, vertex) =>
      Math.hypot(shape.getX(vertex), shape.getY(vertex), shape.getZ(vertex)),
    );
    const least = MOVED_SHARE * lengths.reduce((most, length) => Math.max(most, length), 0);
    lengths.forEach((length, vertex) => length > 0 && length >= least && (isMoved[vertex] = 1));
  }
  return isMoved;
}
