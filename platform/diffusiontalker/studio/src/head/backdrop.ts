/** What stands behind a head: a wall with a soft pool of light on it, in the colours of the theme. */
import { Color, Mesh, OrthographicCamera, PlaneGeometry, ShaderMaterial, type WebGLRenderer } from "three";

const THEMES = {
  light: { middle: 0xf6f5f3, edge: 0xd3d6dc },
  dark: { middle: 0x3a3f4a, edge: 0x101218 },
};

const VERTEX = /* glsl */ `
varying vec2 vPlace;
void main() {
  vPlace = position.xy;
  gl_Position = vec4(position.xy, 1.0, 1.0);
}`;

// A little noise keeps the gradient from showing bands.
const FRAGMENT = /* glsl */ `
uniform vec3 middle;
uniform vec3 edge;
varying vec2 vPlace;
void main() {
  float away = smoothstep(0.0, 1.55, length((vPlace - vec2(0.0, 0.1)) * vec2(0.95, 1.0)));
  vec3 color = mix(middle, edge, away);
  float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
  gl_FragColor = vec4(color + noise / 200.0, 1.0);
}`;

export class Backdrop {
  private readonly camera = new OrthographicCamera();
  private readonly material = new ShaderMaterial({
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    uniforms: { middle: { value: new Color() }, edge: { value: new Color() } },
    depthTest: false,
    depthWrite: false,
    toneMapped: false,
  });
  private readonly wall = new Mesh(new PlaneGeometry(2, 2), this.material);

  constructor() {
    this.wall.frustumCulled = false;
  }

  setTheme(theme: "light" | "dark"): void {
    // As they are seen, not as light: the shader mixes and writes them unchanged.
    for (const name of ["middle", "edge"] as const) {
      (this.material.uniforms[name]!.value as Color).setHex(THEMES[theme][name], "");
    }
  }

  draw(renderer: WebGLRenderer): void {
    renderer.autoClear = true;
    renderer.render(this.wall, this.camera);
    renderer.autoClear = false;
  }

  dispose(): void {
    this.wall.geometry.dispose();
    this.material.dispose();
  }
}
