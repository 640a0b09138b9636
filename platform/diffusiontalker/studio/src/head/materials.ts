/**
 * What a head's surfaces look like.
 *
 * Every head gets occlusion. Heads of this platform, whose GLBs name their parts and carry `_SURFACE` (gloss, hair,
 * fade), get skin, eyes and hair drawn by the shaders of `shaders.ts`; other heads keep the materials that they have.
 */
import {
  BackSide,
  DoubleSide,
  FrontSide,
  type Material,
  type Mesh,
  MeshPhysicalMaterial,
  type MeshPhysicalMaterialParameters,
  MeshStandardMaterial,
  Texture,
} from "three";

import { arkitName } from "./names";
import { addOcclusion } from "./occlusion";
import { type Patch, PARTS, occlusionPatch } from "./shaders";

/** Physical properties beside what the shaders do. */
const PROPERTIES: Record<string, MeshPhysicalMaterialParameters> = {
  skin: {
    roughness: 0.52,
    specularIntensity: 0.75,
    sheen: 0.25,
    sheenRoughness: 0.55,
    sheenColor: 0xffc9b0,
    transparent: true,
  },
  ears: { roughness: 0.55, specularIntensity: 0.7, sheen: 0.25, sheenRoughness: 0.55, sheenColor: 0xffc9b0 },
  caruncles: { roughness: 0.4 },
  eyes: { roughness: 0.4, specularIntensity: 0.4, clearcoat: 1, clearcoatRoughness: 0.06 },
  lashes: { roughness: 0.7, specularIntensity: 0.2, transparent: true },
  brows: { roughness: 0.75, transparent: true },
  teeth: { roughness: 0.3, clearcoat: 0.3, clearcoatRoughness: 0.2 },
  tongue: { roughness: 0.42 },
  hair: {
    roughness: 0.62,
    specularIntensity: 0.6,
    sheen: 0.4,
    sheenRoughness: 0.4,
    sheenColor: 0x8a6a55,
    transparent: true,
  },
};

/** Shapes that open the mouth, which lets light in. */
const OPENING = [
  "jawOpen",
  "mouthUpperUpLeft",
  "mouthUpperUpRight",
  "mouthLowerDownLeft",
  "mouthLowerDownRight",
  "mouthFunnel",
];

const RIBBONS = ["brows", "lashes"];
const SHADOWING = ["skin", "ears", "hair"];

/** What is seen through comes later: skin that fades out, then brows, then hair. */
const DRAWN_AFTER: Record<string, number> = { skin: 1, brows: 2, hair: 3, lashes: 4 };

/** Replaces or completes the materials of a head's meshes, and computes the occlusion that they use. */
export function refineMaterials(meshes: readonly Mesh[]): void {
  const isOccluded = addOcclusion(meshes, (mesh) => openingOf(mesh)[0]);
  for (const mesh of meshes) {
    const isOwn = "_surface" in mesh.geometry.attributes;
    mesh.material = Array.isArray(mesh.material)
      ? mesh.material.map((material) => refined(material, mesh, isOwn, isOccluded))
      : refined(mesh.material, mesh, isOwn, isOccluded);
  }
}

/** Frees a material's program and textures. */
export function freeMaterial(material: Material): void {
  for (const value of Object.values(material)) if (value instanceof Texture) value.dispose();
  material.dispose();
}

function refined(material: Material, mesh: Mesh, isOwn: boolean, isOccluded: boolean): Material {
  if (!(material instanceof MeshStandardMaterial)) return material;
  const part = isOwn && Object.hasOwn(PROPERTIES, material.name) ? material.name : null;
  const patches: Patch[] = [];
  let result: MeshStandardMaterial = material;
  if (part) {
    const isRibbon = RIBBONS.includes(part);
    result = new MeshPhysicalMaterial({ name: part, vertexColors: true, ...PROPERTIES[part] });
    result.side = part === "hair" ? FrontSide : DoubleSide;
    result.forceSinglePass = true;
    // Only what faces away casts shadows: so the edge of light on skin stays soft.
    result.shadowSide = BackSide;
    mesh.castShadow = SHADOWING.includes(part);
    mesh.receiveShadow = !isRibbon;
    mesh.renderOrder = DRAWN_AFTER[part] ?? 0;
    patches.push(...PARTS[part]!);
  }
  if (isOccluded && !material.aoMap) patches.push(occlusionPatch(openingOf(mesh)));
  const key = `${part}:${openingOf(mesh)}:${isOccluded}`;
  result.onBeforeCompile = (shader) => patches.forEach((patch) => patch(shader));
  result.customProgramCacheKey = () => key;
  return result;
}

/** Indices of the targets that open the mouth, jawOpen first; empty when the mesh has none of that name. */
function openingOf(mesh: Mesh): number[] {
  const targets = Object.entries(mesh.morphTargetDictionary ?? {});
  const found = OPENING.map((name) => targets.find(([written]) => arkitName(written) === name)?.[1]);
  return found[0] === undefined ? [] : found.filter((target) => target !== undefined);
}
