/**
 * The stage: one or two heads in a portrait studio, side by side, turned together.
 *
 * Draws when something has changed, and asks for weights every frame while it is started. Every head is scaled into
 * the same sphere, so that light, shadows and camera suit any GLB, whatever its units.
 */
import {
  type Box3,
  Group,
  type Light,
  NeutralToneMapping,
  PCFShadowMap,
  PerspectiveCamera,
  Scene,
  Vector3,
  WebGLRenderer,
  type WebGLRenderTarget,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import { Backdrop } from "./backdrop";
import { portraitDistance } from "./framing";
import { Head, type HeadModel } from "./head";
import { studioEnvironment, studioLights } from "./light";
import { Sharpness } from "./sharpness";
import { Stopwatch } from "./stopwatch";

const FOV_DEG = 24;
const MOST_PIXELS_PER_POINT = 2;

export class Stage {
  /** Called before every frame that `start` asks for, with `performance.now()`: the place to set weights. */
  beforeRender: ((now: number) => void) | null = null;
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(FOV_DEG, 1, 0.1, 50);
  private readonly controls: OrbitControls;
  private readonly backdrop = new Backdrop();
  private readonly lights = studioLights();
  private readonly stopwatch = new Stopwatch();
  private readonly sharpness = new Sharpness();
  private shownMs: number | null = null;
  private readonly resized = new ResizeObserver(() => this.resize());
  private width = 0;
  private height = 0;
  private readonly prefersStillness = matchMedia("(prefers-reduced-motion: reduce)");
  private environment: WebGLRenderTarget | null = null;
  private shown: Head[] = [];
  private places: Group[] = [];
  private leaving: HeadModel[] = [];
  private isStarted = false;
  private isChanged = true;
  private frame = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.renderer = createRenderer(canvas);
    this.scene.add(this.camera, this.lights);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.minPolarAngle = 0.2 * Math.PI;
    this.controls.maxPolarAngle = 0.72 * Math.PI;
    this.controls.addEventListener("change", this.requestFrame);
    this.setDamping();
    this.prefersStillness.addEventListener("change", this.setDamping);
    canvas.addEventListener("webglcontextrestored", this.restore);
    canvas.addEventListener("keydown", this.turnByKey);
    this.resized.observe(canvas);
    this.restore();
    this.setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    this.resetView();
  }

  get heads(): readonly Head[] {
    return this.shown;
  }

  /** Median of what a frame costs our script, in milliseconds: weights, scene, and the calls that draw it. */
  get scriptMs(): number {
    return this.stopwatch.medianMs;
  }

  /** Shows one model, or two side by side; one model may be shown twice. What was shown before is freed. */
  setHeads(models: HeadModel[]): void {
    const left = new Set(this.shown.map((head) => head.model).filter((model) => !models.includes(model)));
    for (const head of this.shown) head.free();
    for (const place of this.places) place.removeFromParent();
    this.leaving.push(...left);
    this.shown = models.map((model) => new Head(model));
    this.places = this.shown.map((head) => placed(head));
    this.renderer.shadowMap.needsUpdate = true;
    for (const head of this.shown) head.onChange = this.requestFrame;
    for (const place of this.places) this.scene.add(place);
    this.resetView();
  }

  setTheme(theme: "light" | "dark"): void {
    this.backdrop.setTheme(theme);
    this.requestFrame();
  }

  /** The camera in front of the face again. */
  resetView(): void {
    this.fitCanvas();
    const distance = this.portraitDistance();
    this.controls.minDistance = 0.35 * distance;
    this.controls.maxDistance = 2.2 * distance;
    this.controls.target.set(0, 0, 0);
    this.camera.position.set(0, 0, distance);
    this.controls.update();
    this.requestFrame();
  }

  /** Asks `beforeRender` for weights and draws, frame after frame, until `stop`. */
  start(): void {
    this.isStarted = true;
    this.shownMs = null;
    if (this.sharpness.share < 1) this.fitCanvas();
    this.requestFrame();
  }

  stop(): void {
    this.isStarted = false;
    if (this.sharpness.share < 1) this.fitCanvas();
    this.requestFrame();
  }

  /** Draws at once. */
  renderOnce(): void {
    const started = performance.now();
    this.beforeRender?.(started);
    this.draw();
    this.stopwatch.add(performance.now() - started);
  }

  /** Frees the graphics card; the stage cannot be used again. */
  dispose(): void {
    this.stop();
    cancelAnimationFrame(this.frame);
    this.setHeads([]);
    this.draw();
    cancelAnimationFrame(this.frame);
    this.resized.disconnect();
    this.prefersStillness.removeEventListener("change", this.setDamping);
    this.canvas.removeEventListener("webglcontextrestored", this.restore);
    this.canvas.removeEventListener("keydown", this.turnByKey);
    this.controls.dispose();
    this.backdrop.dispose();
    this.environment?.dispose();
    for (const light of this.lights.children) (light as Light).dispose();
    this.renderer.dispose();
  }

  private readonly requestFrame = (): void => {
    this.isChanged = true;
    if (!this.frame) this.frame = requestAnimationFrame(this.onFrame);
  };

  private readonly onFrame = (now: number): void => {
    this.frame = 0;
    const started = performance.now();
    if (this.isStarted) {
      this.beforeRender?.(now);
      if (this.shownMs !== null && this.sharpness.note(now - this.shownMs)) {
        this.fitCanvas();
        this.isChanged = true;
      }
      this.shownMs = now;
    }
    this.controls.update();
    if (this.isChanged) {
      this.draw();
      this.stopwatch.add(performance.now() - started);
    }
    if (this.isStarted && !this.frame) this.frame = requestAnimationFrame(this.onFrame);
  };

  private draw(): void {
    this.isChanged = false;
    const count = Math.max(this.places.length, 1);
    const width = this.width / count;
    for (let index = 0; index < count; index++) {
      for (let other = 0; other < this.places.length; other++) this.places[other]!.visible = other === index;
      this.renderer.setViewport(index * width, 0, width, this.height);
      this.renderer.setScissor(index * width, 0, width, this.height);
      this.backdrop.draw(this.renderer);
      this.renderer.render(this.scene, this.camera);
    }
    // Only now: what the new heads share with them (programs) need not be made again.
    while (this.leaving.length) this.leaving.pop()!.free();
  }

  /** The head keeps its size in the picture as it was turned and zoomed; a resized canvas is empty until drawn. */
  private resize(): void {
    const before = this.portraitDistance();
    this.fitCanvas();
    const scale = this.portraitDistance() / before;
    this.controls.minDistance *= scale;
    this.controls.maxDistance *= scale;
    this.camera.position.sub(this.controls.target).multiplyScalar(scale).add(this.controls.target);
    this.controls.update();
    this.draw();
  }

  private fitCanvas(): void {
    this.width = this.canvas.clientWidth || 1;
    this.height = this.canvas.clientHeight || 1;
    const share = this.isStarted ? this.sharpness.share : 1;
    this.renderer.shadowMap.autoUpdate = share === 1; // without a graphics card two fifths of what a moving face costs
    this.renderer.shadowMap.needsUpdate = true;
    this.renderer.setPixelRatio(share * Math.min(devicePixelRatio, MOST_PIXELS_PER_POINT));
    this.renderer.setSize(this.width, this.height, false);
    this.renderer.setScissorTest(true);
    this.camera.aspect = this.width / Math.max(this.places.length, 1) / this.height;
    this.camera.updateProjectionMatrix();
  }

  private portraitDistance(): number {
    const distances = this.places.map((place) => portraitDistance(boxOf(place), FOV_DEG, this.camera.aspect));
    return Math.max(...distances, 1);
  }

  private readonly restore = (): void => {
    this.environment?.dispose();
    this.environment = studioEnvironment(this.renderer);
    this.scene.environment = this.environment.texture;
    this.requestFrame();
  };

  private readonly setDamping = (): void => {
    this.controls.enableDamping = !this.prefersStillness.matches;
  };

  private readonly turnByKey = (event: KeyboardEvent): void => {
    const turns: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const turn = turns[event.key];
    if (!turn || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const step = Math.PI / 24;
    const offset = this.camera.position.clone().sub(this.controls.target);
    const radius = offset.length();
    const azimuth = Math.atan2(offset.x, offset.z) + step * turn[0];
    const polar = Math.acos(offset.y / radius) + step * turn[1];
    const bounded = Math.min(Math.max(polar, this.controls.minPolarAngle), this.controls.maxPolarAngle);
    this.camera.position.setFromSphericalCoords(radius, bounded, azimuth).add(this.controls.target);
    this.controls.update();
  };
}

function createRenderer(canvas: HTMLCanvasElement): WebGLRenderer {
  const context = canvas.getContext("webgl2", { antialias: true, alpha: false, powerPreference: "high-performance" });
  if (!context) {
    throw new Error(
      "The head needs WebGL 2, which this browser does not offer; switch hardware acceleration on, " +
        "or use a current Chrome, Edge, Firefox or Safari.",
    );
  }
  const renderer = new WebGLRenderer({ canvas, context });
  renderer.autoClear = true;
  renderer.toneMapping = NeutralToneMapping;
  renderer.toneMappingExposure = 1;
  renderer.shadowMap.enabled = true;
  renderer.shadowMap.type = PCFShadowMap;
  return renderer;
}

/** A group that brings a head into the unit sphere round the origin. */
function placed(head: Head): Group {
  const { box } = head.model;
  const scale = 2 / box.getSize(new Vector3()).length();
  const place = new Group();
  place.add(head.root);
  place.scale.setScalar(scale);
  place.position.copy(box.getCenter(new Vector3())).multiplyScalar(-scale);
  place.updateMatrix();
  place.userData.box = box.clone().applyMatrix4(place.matrix);
  return place;
}

function boxOf(place: Group): Box3 {
  return place.userData.box as Box3;
}
