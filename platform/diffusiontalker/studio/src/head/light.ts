/** The light of a portrait studio: soft boxes that skin and eyes reflect, and a key light that casts shadows. */
import {
  BackSide,
  BoxGeometry,
  Color,
  DirectionalLight,
  Group,
  Mesh,
  MeshBasicMaterial,
  PlaneGeometry,
  PMREMGenerator,
  Scene,
  type WebGLRenderer,
  type WebGLRenderTarget,
} from "three";

/** Soft boxes: direction (x, y, z) from the head, width and height, colour, brightness. */
const SOFT_BOXES: readonly [number, number, number, number, number, number, number][] = [
  [-3.2, 3.0, 4.2, 3.4, 3.4, 0xfff1e2, 14], // key, from the upper left
  [4.5, 0.4, 2.6, 2.6, 4.0, 0xdfe8ff, 3.2], // fill, cooler
  [3.6, 3.2, -4.2, 2.4, 3.4, 0xeaf1ff, 16], // rim, from behind
  [-4.6, 1.4, -3.2, 1.6, 3.6, 0xffe9d6, 8], // rim on the other side
  [0, 5.5, 0.5, 5.0, 4.0, 0xffffff, 3.2], // from above
];

/** What surfaces reflect, filtered for every roughness. The caller disposes of it. */
export function studioEnvironment(renderer: WebGLRenderer): WebGLRenderTarget {
  const room = new Scene();
  room.add(new Mesh(new BoxGeometry(16, 12, 16), new MeshBasicMaterial({ color: 0x5c5f66, side: BackSide })));
  for (const [x, y, z, width, height, color, brightness] of SOFT_BOXES) {
    const material = new MeshBasicMaterial({ color: new Color(color).multiplyScalar(brightness) });
    const box = new Mesh(new PlaneGeometry(width, height), material);
    box.position.set(x, y, z);
    box.lookAt(0, 0, 0);
    room.add(box);
  }
  const generator = new PMREMGenerator(renderer);
  const target = generator.fromScene(room, 0.03, 0.1, 100);
  generator.dispose();
  room.traverse((node) => {
    if (!(node instanceof Mesh)) return;
    node.geometry.dispose();
    node.material.dispose();
  });
  return target;
}

/** Directional lights for a head that fits into a sphere of radius 1. */
export function studioLights(): Group {
  const key = new DirectionalLight(0xfff0e0, 1.9);
  key.position.set(-2.2, 2.3, 3.4);
  key.castShadow = true;
  key.shadow.mapSize.set(1024, 1024);
  key.shadow.radius = 5;
  key.shadow.bias = -0.0004;
  key.shadow.normalBias = 0.012;
  const camera = key.shadow.camera;
  [camera.left, camera.right, camera.top, camera.bottom, camera.near, camera.far] = [-1.1, 1.1, 1.1, -1.1, 1, 9];
  const rim = new DirectionalLight(0xe6eeff, 1.6);
  rim.position.set(3.2, 1.6, -2.6);
  const lights = new Group();
  lights.add(key, rim);
  return lights;
}
