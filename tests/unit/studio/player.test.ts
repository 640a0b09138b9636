import { afterEach, expect, test } from "vitest";

import {
  storedKey,
  storeKey,
} from "../../../platform/diffusiontalker/studio/src/endpoint";
import { Player } from "../../../platform/diffusiontalker/studio/src/playback/player";

// Sound is tried in a browser (tests/browser); here is motion without sound, on the player's own clock.
let player = new Player();

afterEach(() => {
  player.dispose();
  player = new Player();
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 4000;
  while (!condition()) {
    expect(performance.now()).toBeLessThan(deadline);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("motion without sound plays to its end, and from the begin when played again", async () => {
  player.load(null, 0.2);
  await player.play();
  expect(player.isPlaying.value).toBe(true);
  await until(() => !player.isPlaying.value);
  expect([player.timeS.value, player.now()]).toEqual([0.2, 0.2]);
  await player.play();
  expect(player.now()).toBeLessThan(0.15);
});

test("speed changes the pace from where it is", async () => {
  player.load(null, 100);
  await player.play();
  await until(() => player.now() > 0.05);
  const [before, since] = [player.now(), performance.now()];
  player.speed.value = 4;
  await until(() => performance.now() > since + 200);
  const rate = (player.now() - before) / ((performance.now() - since) / 1000);
  expect(rate).toBeGreaterThan(3.5);
  expect(rate).toBeLessThan(4.5);
});

test("a loop goes on from the begin; a pause stays where it is", async () => {
  player.load(null, 0.1);
  player.isLooping.value = true;
  await player.play();
  let last = 0;
  await until(() => {
    const hasTurned = player.now() < last;
    last = player.now();
    return hasTurned;
  });
  player.pause();
  const paused = player.now();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(player.now()).toBe(paused);
});

test("places beyond the ends are the ends; a new take begins at its begin, paused", async () => {
  player.load(null, 2);
  player.seek(9);
  expect(player.now()).toBe(2);
  player.seek(-1);
  expect(player.now()).toBe(0);
  player.seek(1.5);
  expect(player.timeS.value).toBe(1.5);
  await player.play();
  player.load(null, 3);
  expect([
    player.isPlaying.value,
    player.now(),
    player.durationS.value,
  ]).toEqual([false, 0, 3]);
});

test("nothing plays where nothing is", async () => {
  await player.play();
  expect(player.isPlaying.value).toBe(false);
});

test("the key stays in this tab", () => {
  storeKey("  dt_key ");
  expect([
    storedKey(),
    localStorage.length,
    location.href.includes("dt_key"),
  ]).toEqual(["dt_key", 0, false]);
  storeKey("");
  expect(storedKey()).toBeNull();
});
