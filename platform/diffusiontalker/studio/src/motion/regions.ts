/** The ARKit channels by region of the face: the word that their names begin with says which. */

import { ARKIT_NAMES } from "../head/names";

export type Region = "brows" | "eyes" | "cheeks" | "nose" | "jaw" | "mouth" | "tongue";

const FIRST_WORDS: Record<Region, string> = {
  brows: "brow",
  eyes: "eye",
  cheeks: "cheek",
  nose: "nose",
  jaw: "jaw",
  mouth: "mouth",
  tongue: "tongue",
};

/** From top to bottom. */
export const REGIONS = Object.keys(FIRST_WORDS) as Region[];

/** Where in the face a channel acts; null for names that are not ARKit's. */
export function regionOf(channel: string): Region | null {
  if (!ARKIT_NAMES.includes(channel)) return null;
  return REGIONS.find((region) => channel.startsWith(FIRST_WORDS[region]))!;
}

/** The channels of a region, in the platform's order. */
export function channelsOf(region: Region): string[] {
  return ARKIT_NAMES.filter((name) => regionOf(name) === region);
}
