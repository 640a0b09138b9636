import { expect, test } from "vitest";

import { actionOf } from "../../../platform/diffusiontalker/studio/src/ui/keys";

function press(key: string, on = "body", held: Partial<KeyboardEvent> = {}) {
  const target = document.createElement(on);
  return actionOf({
    key,
    target,
    ctrlKey: false,
    metaKey: false,
    shiftKey: false,
    altKey: false,
    ...held,
  });
}

test("keys play, step, skip and animate wherever nothing needs them", () => {
  expect(press(" ")).toEqual({ name: "toggle-play" });
  expect(press("ArrowLeft")).toEqual({ name: "step", frames: -1 });
  expect(press("ArrowRight")).toEqual({ name: "step", frames: 1 });
  expect(press("ArrowLeft", "body", { shiftKey: true })).toEqual({
    name: "skip",
    seconds: -1,
  });
  expect(press("ArrowRight", "div", { shiftKey: true })).toEqual({
    name: "skip",
    seconds: 1,
  });
  expect(press("Enter")).toEqual({ name: "animate" });
  expect(press("r")).toEqual({ name: "reset-view" });
  expect(press("x")).toBeNull();
});

test.each(["input", "select", "textarea", "button", "summary"])(
  "%s keeps its keys",
  (element) => {
    for (const key of [" ", "ArrowLeft", "Enter", "r", "l", "Home"])
      expect(press(key, element)).toBeNull();
  },
);

test("Ctrl+Enter animates from a field, too, but not from a dialog", () => {
  expect(press("Enter", "input", { ctrlKey: true })).toEqual({
    name: "animate",
  });
  expect(press("Enter", "input", { metaKey: true })).toEqual({
    name: "animate",
  });
  const dialog = document.createElement("dialog");
  const field = dialog.appendChild(document.createElement("input"));
  const held = {
    ctrlKey: true,
    metaKey: false,
    shiftKey: false,
    altKey: false,
  };
  expect(actionOf({ key: "Enter", target: field, ...held })).toBeNull();
});

test("the browser keeps its own shortcuts", () => {
  expect(press("r", "body", { ctrlKey: true })).toBeNull();
  expect(press("ArrowLeft", "body", { altKey: true })).toBeNull();
});
