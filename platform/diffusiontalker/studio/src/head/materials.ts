/** What a head's surfaces look like. */
import { type Material, type Mesh, Texture } from "three";

export function refineMaterials(_meshes: readonly Mesh[]): void {}

/** Frees a material's program and textures. */
export function freeMaterial(material: Material): void {
  for (const value of Object.values(material)) if (value instanceof Texture) value.dispose();
  material.dispose();
}
