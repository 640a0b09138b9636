/** Names of ARKit's shapes, and what foreign spellings of them mean: the same rules as `face/arkit.py`. */

/** The 52 shapes, in the order of `face/arkit.py`. */
// prettier-ignore
export const ARKIT_NAMES: readonly string[] = [
  "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
  "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
  "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
  "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
  "eyeWideLeft", "eyeWideRight",
  "jawForward", "jawLeft", "jawOpen", "jawRight",
  "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
  "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
  "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
  "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
  "noseSneerLeft", "noseSneerRight", "tongueOut",
];

const CANONICAL = new Map(ARKIT_NAMES.map((name) => [name.toLowerCase(), name]));
const NAMESPACE_END = /[.:|/]/;
const SPELLABLE = /^[A-Za-z0-9\s._:|/-]*$/;
const WORD = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g;
const SIDE_WORDS: Record<string, string> = { l: "left", left: "left", r: "right", right: "right" };
const PREFIX = /^(?:(?:arkit|bs|blendshapes?|shapekeys?|shapes?|morphtargets?|morphs?|face|head)[0-9]*)+/;

/**
 * The ARKit name behind a name as other programs write it; null when it is none.
 *
 * Nothing is guessed: beside capitals, separators, sides (`_L`, `Left`), namespaces (`blendShape1.`) and prefixes such
 * as `ARKit_`, every letter and digit belongs to the name.
 */
export function arkitName(name: string): string | null {
  if (!SPELLABLE.test(name)) return null;
  const parts = name.split(NAMESPACE_END);
  for (let start = 0; start < parts.length; start++) {
    const found = CANONICAL.get(plain(parts.slice(start).join(" ")));
    if (found) return found;
  }
  return null;
}

/** Lower case without separators and prefixes, and the side, if one is named, at the end. */
function plain(name: string): string {
  const words = (name.match(WORD) ?? []).map((word) => word.toLowerCase());
  const isSide = (word: string) => Object.hasOwn(SIDE_WORDS, word);
  const sides = words.filter(isSide);
  if (sides.length > 1) return "";
  const bare = words
    .filter((word) => !isSide(word))
    .join("")
    .replace(PREFIX, "");
  return sides.length ? bare + SIDE_WORDS[sides[0]!] : bare.replace(/^(left|right)(.+)$/, "$2$1");
}
