/** Heads: GLBs whose morph targets are ARKit's shapes, under whatever names, in one mesh or several. */
import { type Box3, Light, LoadingManager, Mesh, type Object3D, SkinnedMesh } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { clone } from "three/addons/utils/SkeletonUtils.js";

import { headBox } from "./framing";
import { freeMaterial, refineMaterials } from "./materials";
import { ARKIT_NAMES, arkitName } from "./names";
import { addMorphNormals } from "./normals";

const MAGIC = 0x46546c67; // "glTF"

/** A GLB in memory, from which any number of heads can be made. */
export class HeadModel {
  /** ARKit names of the shapes that it has, in the order of `ARKIT_NAMES`. */
  readonly shapeNames: string[];
  /** ARKit names of the shapes that it lacks: their weights do nothing. */
  readonly missing: string[];
  /** What of it a portrait shows, in its own units. */
  readonly box: Box3;

  constructor(readonly root: Object3D) {
    const found = new Set(morphMeshes(root).flatMap((mesh) => [...shapesOf(mesh).keys()]));
    this.shapeNames = ARKIT_NAMES.filter((name) => found.has(name));
    this.missing = ARKIT_NAMES.filter((name) => !found.has(name));
    this.box = headBox(root);
  }

  /** Frees what it holds on the graphics card; it is uploaded again when it is shown again. */
  free(): void {
    for (const mesh of meshesIn(this.root)) {
      mesh.geometry.dispose();
      for (const material of [mesh.material].flat()) freeMaterial(material);
    }
  }
}

/**
 * Reads a GLB from an address or from memory.
 *
 * Throws an Error in words when it cannot be loaded, is no GLB, is compressed, or has no shape with an ARKit name.
 */
export async function loadHead(source: string | ArrayBuffer): Promise<HeadModel> {
  const bytes = typeof source === "string" ? await fetched(source) : source;
  checkFormat(bytes);
  const manager = new LoadingManager();
  // A GLB holds everything it needs; what it names elsewhere is not fetched.
  manager.setURLModifier((url) => (/^(blob:|data:)/.test(url) ? url : "data:,"));
  let root: Object3D;
  try {
    root = (await new GLTFLoader(manager).parseAsync(bytes, "")).scene;
  } catch (error) {
    throw new Error(`The head cannot be read (${(error as Error).message}); export it again as GLB.`);
  }
  const lights: Object3D[] = [];
  root.traverse((node) => node instanceof Light && lights.push(node));
  for (const light of lights) light.removeFromParent();
  checkShapes(root);
  for (const mesh of meshesIn(root)) {
    addMorphNormals(mesh.geometry);
    mesh.frustumCulled = false; // its bounds are those of the face at rest
    mesh.castShadow = mesh.receiveShadow = true;
  }
  refineMaterials(meshesIn(root));
  root.updateMatrixWorld(true);
  return new HeadModel(root);
}

/** One head on the stage: a model's meshes with weights of their own. */
export class Head {
  readonly root: Object3D;
  /** Called when the weights have changed. */
  onChange: (() => void) | null = null;
  private readonly influences: number[][] = [];
  private readonly places = new Map<string, [mesh: number, target: number][]>();
  private names: readonly string[] | null = null;
  /** For each of `names`, one after the other: mesh, target, column of the values. */
  private route: Int32Array = new Int32Array(0);

  constructor(readonly model: HeadModel) {
    this.root = clone(model.root);
    morphMeshes(this.root).forEach((mesh, index) => {
      this.influences.push(mesh.morphTargetInfluences!);
      for (const [name, target] of shapesOf(mesh)) {
        this.places.set(name, [...(this.places.get(name) ?? []), [index, target]]);
      }
    });
  }

  /** Poses the face: `values[i]` is the weight of the shape `names[i]`; shapes that are not named are at rest. */
  setWeights(names: readonly string[], values: Float32Array): void {
    if (names !== this.names) this.resolve(names);
    let hasChanged = false;
    for (let entry = 0; entry < this.route.length; entry += 3) {
      const influences = this.influences[this.route[entry]!]!;
      const target = this.route[entry + 1]!;
      const value = values[this.route[entry + 2]!] ?? 0;
      if (influences[target] === value) continue;
      influences[target] = value;
      hasChanged = true;
    }
    if (hasChanged) this.onChange?.();
  }

  /** The weight of an ARKit shape now; 0 where the head lacks it. */
  weight(name: string): number {
    const place = this.places.get(name)?.[0];
    return place ? this.influences[place[0]]![place[1]]! : 0;
  }

  /** Frees what only this head holds on the graphics card. */
  free(): void {
    this.root.traverse((node) => node instanceof SkinnedMesh && node.skeleton.dispose());
  }

  private resolve(names: readonly string[]): void {
    this.names = names;
    for (const influences of this.influences) influences.fill(0);
    this.route = Int32Array.from(
      names.flatMap((name, column) =>
        (this.places.get(arkitName(name) ?? "") ?? []).flatMap(([mesh, target]) => [mesh, target, column]),
      ),
    );
    this.onChange?.();
  }
}

async function fetched(address: string): Promise<ArrayBuffer> {
  let answer: Response;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error(`The head at ${address} cannot be loaded: the server does not answer.`);
  }
  if (!answer.ok) throw new Error(`The head at ${address} cannot be loaded: the server answers ${answer.status}.`);
  return answer.arrayBuffer();
}

function checkFormat(bytes: ArrayBuffer): void {
  const view = new DataView(bytes);
  if (bytes.byteLength < 20 || view.getUint32(0, true) !== MAGIC) {
    throw new Error("The file is no GLB (binary glTF 2.0); export the head as GLB, with its shape keys.");
  }
  if (view.getUint32(8, true) > bytes.byteLength) {
    throw new Error("The GLB is cut off; copy or download it again.");
  }
  const json = new TextDecoder().decode(
    new Uint8Array(bytes, 20, Math.min(view.getUint32(12, true), bytes.byteLength - 20)),
  );
  const packed = /"extensionsRequired"\s*:\s*\[([^\]]*)\]/.exec(json)?.[1] ?? "";
  const compression = /KHR_draco_mesh_compression|(EXT|KHR)_meshopt_compression|KHR_texture_basisu/.exec(packed)?.[0];
  if (!compression) return;
  const advice =
    compression === "KHR_texture_basisu"
      ? "export it with PNG or JPEG textures"
      : "export it without compression, or run: npx @gltf-transform/cli copy head.glb plain.glb";
  throw new Error(`The GLB is compressed (${compression}), which the Studio cannot unpack; ${advice}.`);
}

function checkShapes(root: Object3D): void {
  const meshes = morphMeshes(root);
  const names = [...new Set(meshes.flatMap((mesh) => Object.keys(mesh.morphTargetDictionary!)))];
  if (!names.length) {
    const found = meshesIn(root).map((mesh) => mesh.name || "a mesh without name");
    throw new Error(
      `The GLB has no morph targets (it holds ${found.slice(0, 4).join(", ") || "no mesh"}); ` +
        "export the head with its shape keys (blend shapes), named as ARKit does.",
    );
  }
  if (!names.some(arkitName)) {
    throw new Error(
      `None of the head's ${names.length} morph targets has an ARKit name such as jawOpen ` +
        `(found: ${names.slice(0, 8).join(", ")}); rename them to ARKit's names.`,
    );
  }
  for (const mesh of meshes) shapesOf(mesh);
}

/** ARKit name -> index of the morph target. */
function shapesOf(mesh: Mesh): Map<string, number> {
  const shapes = new Map<string, number>();
  const spelled = new Map<string, string>();
  for (const [written, target] of Object.entries(mesh.morphTargetDictionary ?? {})) {
    const name = arkitName(written);
    if (!name) continue;
    if (shapes.has(name)) {
      throw new Error(`Two morph targets mean ${name} (${spelled.get(name)}, ${written}); keep one of them.`);
    }
    shapes.set(name, target);
    spelled.set(name, written);
  }
  return shapes;
}

function meshesIn(root: Object3D): Mesh[] {
  const meshes: Mesh[] = [];
  root.traverse((node) => node instanceof Mesh && meshes.push(node));
  return meshes;
}

function morphMeshes(root: Object3D): Mesh[] {
  return meshesIn(root).filter((mesh) => mesh.morphTargetInfluences?.length && mesh.morphTargetDictionary);
}
