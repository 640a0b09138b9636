import { expect, test } from "vitest";

import {
  ARKIT_NAMES,
  arkitName,
} from "../../../platform/diffusiontalker/studio/src/head/names";

test.each([
  "mouthSmileLeft",
  "MouthSmileLeft",
  "mouthsmileleft",
  "mouth_smile_left",
  "mouth-smile-left",
  "mouthSmile_L",
  "mouthSmile.L",
  "mouthSmileL",
  "LeftMouthSmile",
  "L_mouthSmile",
  "mouth_L_smile",
  "blendShape1.mouthSmileLeft",
  "Rig:Face|mouthSmile_L",
  "ARKit_mouthSmileLeft",
  "BS_head_mouthSmileLeft",
])("%s is mouthSmileLeft", (name) =>
  expect(arkitName(name)).toBe("mouthSmileLeft"),
);

test.each([
  "",
  "viseme_aa",
  "jawOpen2",
  "mouthSmile",
  "left_mouthSmile_R",
  "jawÖpen",
  "constructor",
  "0",
])("%s is no ARKit name", (name) => expect(arkitName(name)).toBeNull());

test("mouthLeft and jawRight have a side of their own", () => {
  expect(arkitName("mouth_L")).toBe("mouthLeft");
  expect(arkitName("Jaw.Right")).toBe("jawRight");
});

test("every name means itself, in camel case, in capitals and with words apart", () => {
  expect(ARKIT_NAMES).toHaveLength(52);
  for (const name of ARKIT_NAMES) {
    const apart = name.replace(
      /[A-Z]/g,
      (letter) => `_${letter.toLowerCase()}`,
    );
    expect(
      [name, name[0]!.toUpperCase() + name.slice(1), apart].map(arkitName),
    ).toEqual([name, name, name]);
  }
});
