/**
 * Changes to three's physical shader for the parts of a head.
 *
 * Details are drawn where a point lies on the face at rest (`vRest`, in cm), so that they move with it and need no
 * textures.
 */
import { ShaderChunk } from "three";

export interface Shader {
  vertexShader: string;
  fragmentShader: string;
}
export type Patch = (shader: Shader) => void;

const NOISE = /* glsl */ `
float grain(vec3 place) {
  place = fract(place * vec3(0.1031, 0.1030, 0.0973));
  place += dot(place, place.yxz + 33.33);
  return fract((place.x + place.y) * place.z);
}
/** Smooth noise in [-1, 1], one hill per unit. */
float noise(vec3 place) {
  vec3 cell = floor(place), share = fract(place);
  share = share * share * (3.0 - 2.0 * share);
  vec2 step = vec2(0.0, 1.0);
  return 2.0 * mix(
    mix(mix(grain(cell), grain(cell + step.yxx), share.x), mix(grain(cell + step.xyx), grain(cell + step.yyx), share.x), share.y),
    mix(mix(grain(cell + step.xxy), grain(cell + step.yxy), share.x), mix(grain(cell + step.xyy), grain(cell + 1.0), share.x), share.y),
    share.z) - 1.0;
}
/** A normal bent by a height (cm) that is given in every pixel. */
vec3 bent(vec3 surface, vec3 bare, float height, float facing) {
  vec3 alongX = dFdx(surface), alongY = dFdy(surface);
  height *= length(alongX) / max(length(dFdx(vRest)), 1e-6);
  vec3 across = cross(alongY, bare), up = cross(bare, alongX);
  float area = dot(alongX, across) * facing;
  vec3 slope = sign(area) * (dFdx(height) * across + dFdy(height) * up);
  // Slivers of triangles give derivatives without bounds.
  return normalize(abs(area) * bare - slope * min(1.0, 0.8 * abs(area) / max(length(slope), 1e-12)) );
}
`;

/** Makes the place at rest and the finish known to the fragment shader. */
const atRest: Patch = (shader) => {
  shader.vertexShader = replaced(
    shader.vertexShader,
    "void main() {",
    /* glsl */ `
attribute vec4 _surface;
varying vec3 vRest;
varying vec3 vRestNormal;
varying vec4 vSurface;
void main() {
  vRest = 100.0 * position;
  vRestNormal = normal;
  vSurface = _surface;`,
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "void main() {",
    `varying vec3 vRest;\nvarying vec3 vRestNormal;\nvarying vec4 vSurface;\n${NOISE}\nvoid main() {`,
  );
};

/**
 * Light that enters skin comes out beside: shadows begin later and are red at their edge. The key light's shadow may not
 * cut that edge off.
 */
const softLight: Patch = (shader) => {
  const physical = replaced(
    replaced(
      ShaderChunk.lights_physical_pars_fragment,
      "float dotNL = saturate( dot( geometryNormal, directLight.direction ) );",
      `float facing = dot( geometryNormal, directLight.direction );
	float dotNL = saturate( facing );`,
    ),
    "reflectedLight.directDiffuse += irradiance * diffuseBRDF",
    `const vec3 reach = vec3( 0.40, 0.16, 0.10 );
	vec3 soft = saturate( ( vec3( facing ) + reach ) / ( 1.0 + reach ) );
	reflectedLight.directDiffuse += soft * mix( vec3( 1.0 ), soft, 0.4 ) * directLight.color * diffuseBRDF`,
  );
  shader.fragmentShader = replaced(shader.fragmentShader, "#include <lights_physical_pars_fragment>", physical);
};

const skin: Patch = (shader) => {
  // Shapes may turn over a sliver of a triangle: it is seen from both sides, and its normals stay those of the skin.
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <normal_fragment_begin>",
    replaced(ShaderChunk.normal_fragment_begin, "gl_FrontFacing ? 1.0 : - 1.0", "1.0"),
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <color_fragment>",
    /* glsl */ `#include <color_fragment>
  if (!gl_FrontFacing && vSurface.z > 0.0) discard; // through what fades one does not see the inside
  float wet = vSurface.x;
  float blotches = noise(vRest * 0.9) + 0.6 * noise(vRest * 2.3);
  float freckles = noise(vRest * 7.0);
  diffuseColor.rgb *= 1.0 + (1.0 - wet) * (vec3(0.015, 0.035, 0.035) * blotches + 0.02 * freckles);
  diffuseColor.a = 1.0 - vSurface.z;`,
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <roughnessmap_fragment>",
    /* glsl */ `#include <roughnessmap_fragment>
  roughnessFactor = mix(roughnessFactor + 0.05 * noise(vRest * 1.7), 0.28, 0.8 * wet);`,
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <normal_fragment_maps>",
    /* glsl */ `#include <normal_fragment_maps>
  float pores = noise(vRest * 21.0) + 0.8 * noise(vRest * 43.0 + 7.0);
  float creases = noise(vec3(vRest.x * 9.0, vRest.y * 2.0, vRest.z));
  float close = 1.0 / (1.0 + 900.0 * dot(fwidth(vRest), fwidth(vRest)));
  normal = bent(-vViewPosition, normal, close * mix(0.0013 * pores, 0.005 * creases, wet), faceDirection);`,
  );
};

/** Lids, in radii of the eyeball: half the opening's width, height of the upper edge in its middle. */
const EYE_OPENING = [1.06, 0.35];

const eyes: Patch = (shader) => {
  shader.vertexShader = replaced(shader.vertexShader, "void main() {", "varying float vLid;\nvoid main() {");
  // The upper lid's shadow and the edges of the opening, wherever the eye looks.
  shader.vertexShader = replaced(
    shader.vertexShader,
    "#include <morphnormal_vertex>",
    /* glsl */ `#include <morphnormal_vertex>
  float outwards = clamp(objectNormal.x / ${EYE_OPENING[0]}, -1.0, 1.0);
  float edge = ${EYE_OPENING[1]} * (1.0 - pow(abs(outwards), 2.3));
  vLid = exp(-pow(max(edge - objectNormal.y, 0.0) / 0.19, 1.4));`,
  );
  shader.fragmentShader = replaced(shader.fragmentShader, "void main() {", "varying float vLid;\nvoid main() {");
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <color_fragment>",
    /* glsl */ `
  if (vSurface.z > 0.5) discard;
  vec3 axis = normalize(vRestNormal);
  float polar = degrees(acos(clamp(axis.z, -1.0, 1.0)));
  float turn = atan(axis.y, axis.x);
  vec3 white = mix(vec3(0.80, 0.76, 0.73), vec3(0.70, 0.40, 0.34), smoothstep(34.0, 78.0, polar) * 0.6);
  float vein = pow(1.0 - abs(noise(vec3(turn * 5.0, polar * 0.06, 2.0))), 9.0) * smoothstep(30.0, 60.0, polar);
  white = mix(white, vec3(0.60, 0.20, 0.16), 0.2 * vein);
  float across = polar / 24.5;
  vec2 around = vec2(cos(turn), sin(turn));
  float fibres = noise(vec3(around * 9.0, across * 1.2)) + 0.7 * noise(vec3(around * 22.0, across * 2.0));
  vec3 iris = mix(vec3(0.045, 0.080, 0.100), vec3(0.120, 0.185, 0.205), smoothstep(0.3, 0.75, across) * (0.75 + 0.45 * fibres));
  iris = mix(vec3(0.16, 0.095, 0.04), iris, smoothstep(0.40, 0.66, across + 0.10 * fibres));
  iris *= 1.0 - 0.8 * smoothstep(0.74, 1.0, across);
  // Light that enters above gathers below.
  iris *= 1.0 + 1.1 * smoothstep(-0.3, 0.9, -around.y * across);
  vec3 inside = mix(vec3(0.003), iris, smoothstep(9.2, 10.8, polar + 0.3 * fibres));
  diffuseColor.rgb = mix(inside, white, smoothstep(22.8, 26.6, polar));
  diffuseColor.rgb *= 1.0 - 0.62 * vLid;`,
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <clearcoat_normal_fragment_maps>",
    /* glsl */ `
  // The cornea bulges: over the iris the reflecting surface curves more than the eyeball.
  vec3 outwards = normalize(clearcoatNormal - dot(clearcoatNormal, vec3(0.0, 0.0, 1.0)) * vec3(0.0, 0.0, 1.0) + 1e-4);
  clearcoatNormal = normalize(clearcoatNormal + 0.25 * smoothstep(27.0, 20.0, polar) * sin(radians(polar) * 2.0) * outwards);
  // A soft box stands beside the key light; the environment is too coarse to show it.
  vec3 glance = reflect(-normalize(vViewPosition), clearcoatNormal);
  vec3 box = normalize((viewMatrix * vec4(-1.4, 1.5, 3.2, 0.0)).xyz);
  vec3 boxRight = normalize(cross(vec3(0.0, 1.0, 0.0), box));
  vec2 onBox = abs(vec2(dot(glance, boxRight), dot(glance, cross(box, boxRight))));
  float lit = dot(glance, box) > 0.0 ? smoothstep(0.19, 0.15, max(onBox.x, onBox.y)) : 0.0;
  totalEmissiveRadiance += 2.0 * lit * (1.0 - 0.7 * vLid);`,
  );
};

const hair: Patch = (shader) => {
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <color_fragment>",
    /* glsl */ `#include <color_fragment>
  // Strands run away from the crown.
  vec3 fromCrown = vRest - vec3(0.0, 3.0, -1.5);
  float round = atan(fromCrown.x, fromCrown.z + 3.0);
  float along = acos(clamp(normalize(fromCrown).y, -1.0, 1.0)) * 9.0;
  float waves = noise(vec3(round * 6.0, along * 0.5, 1.0));
  vec2 lock = vec2(round * 30.0 + 1.2 * waves, along * 0.9);
  float locks = noise(vec3(lock, 3.0));
  float strands = noise(vec3(lock.x * 4.0, along * 1.6, 5.0)) + 0.6 * noise(vec3(lock.x * 9.0, along * 2.2, 8.0));
  float height = 0.6 * locks + 0.5 * strands;
  diffuseColor.rgb *= 0.88 + 0.20 * height;
  diffuseColor.a = smoothstep(0.05, 0.5, vSurface.y * (1.15 + 0.9 * height * (1.0 - vSurface.y)) - 0.1);`,
  );
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <normal_fragment_maps>",
    /* glsl */ `#include <normal_fragment_maps>
  float close = 1.0 / (1.0 + 500.0 * dot(fwidth(vRest), fwidth(vRest)));
  normal = bent(-vViewPosition, normal, 0.035 * close * height, faceDirection);`,
  );
};

const brows: Patch = (shader) => {
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <color_fragment>",
    /* glsl */ `#include <color_fragment>
  // Gloss runs along the brow; hairs stand up at the nose and lean more and more outwards.
  vec2 lock = vec2(vSurface.x * 62.0 - vRest.y * (5.0 + 5.0 * vSurface.x), vRest.y * 1.4);
  float strands = noise(vec3(lock, 1.0)) + 0.6 * noise(vec3(lock * 2.1, 4.0));
  diffuseColor.rgb *= 0.8 + 0.25 * strands;
  diffuseColor.a = 0.9 * smoothstep(0.12, 1.0, vSurface.y * (0.95 + 0.42 * strands));`,
  );
};

const lashes: Patch = (shader) => {
  shader.fragmentShader = replaced(
    shader.fragmentShader,
    "#include <color_fragment>",
    /* glsl */ `
  // Tapering lashes that lean outwards; gloss runs along the lid, hair falls to the tips.
  float tip = 1.0 - vSurface.y;
  float place = vSurface.x * 42.0 + 0.9 * tip;
  float lean = fract(place) - 0.5 + 0.35 * tip * (grain(vec3(floor(place), 1.0, 2.0)) - 0.5);
  float reach = 0.6 + 0.4 * grain(vec3(floor(place), 5.0, 3.0));
  float width = 0.40 * (1.0 - tip / reach);
  diffuseColor.rgb = vec3(0.012, 0.008, 0.007);
  diffuseColor.a = smoothstep(0.0, 0.12, width - abs(lean)) * smoothstep(0.0, 0.06, vSurface.x) * 0.9;`,
  );
};

/** Patches by the name of a part. */
export const PARTS: Readonly<Record<string, readonly Patch[]>> = {
  skin: [atRest, softLight, skin],
  ears: [atRest, softLight, skin],
  caruncles: [atRest, softLight, skin],
  eyes: [atRest, eyes],
  lashes: [atRest, lashes],
  brows: [atRest, brows],
  teeth: [],
  tongue: [softLight],
  hair: [atRest, hair],
};

/** Darkens the light of the surroundings in folds; `opening` are indices of targets that open the mouth. */
export function occlusionPatch(opening: readonly number[]): Patch {
  return (shader) => {
    const sum = opening.map((target, rank) => `${rank ? "0.4" : "1.0"} * morphTargetInfluences[${target}]`).join(" + ");
    const open = `clamp(${sum || "0.0"}, 0.0, 1.0)`;
    shader.vertexShader = replaced(
      shader.vertexShader,
      "#include <project_vertex>",
      `#include <project_vertex>\n  vOcclusion = mix(occlusion.x, occlusion.y, ${open});`,
    );
    shader.vertexShader = replaced(
      shader.vertexShader,
      "void main() {",
      "attribute vec2 occlusion;\nvarying float vOcclusion;\nvoid main() {",
    );
    shader.fragmentShader = replaced(
      shader.fragmentShader,
      "void main() {",
      "varying float vOcclusion;\nvoid main() {",
    );
    shader.fragmentShader = replaced(
      shader.fragmentShader,
      "#include <aomap_fragment>",
      /* glsl */ `
  // Light between surfaces of skin is red.
  vec3 open = pow(vec3(vOcclusion), vec3(0.75, 1.0, 1.05));
  float outside = smoothstep(0.02, 0.5, vOcclusion);
  reflectedLight.indirectDiffuse *= open;
  reflectedLight.directDiffuse *= mix(0.25, 1.0, outside) * mix(vec3(1.0), open, 0.3);
  reflectedLight.directSpecular *= outside;
  reflectedLight.indirectSpecular *= vOcclusion * vOcclusion;
  #ifdef USE_CLEARCOAT
  clearcoatSpecularDirect *= outside;
  clearcoatSpecularIndirect *= vOcclusion * vOcclusion;
  #endif
  #ifdef USE_SHEEN
  sheenSpecularIndirect *= vOcclusion;
  #endif`,
    );
  };
}

function replaced(source: string, piece: string, by: string): string {
  if (!source.includes(piece)) throw new Error(`three's shader has no '${piece}' any more; see head/shaders.ts.`);
  return source.replace(piece, () => by);
}
