/** One result: asked for, waited for, and what came. */

import { computed, signal } from "@preact/signals";

import type { AnimationParameters, Endpoint } from "../../endpoint";
import type { Motion } from "../../motion";
import type { Sound } from "../../sound";
import { isAbort, messageOf } from "../words";

export type Progress =
  | { readonly name: "idle" }
  | { readonly name: "animating" }
  | { readonly name: "waiting"; readonly secondsLeft: number };

export class Take {
  readonly motion = signal<Motion | null>(null);
  /** What the motion was asked with. */
  readonly parameters = signal<AnimationParameters | null>(null);
  readonly progress = signal<Progress>({ name: "idle" });
  readonly problem = signal<string | null>(null);
  readonly isBusy = computed(() => this.progress.value.name !== "idle");

  /** Whether it was made while somebody spoke: without a voice chosen, a file of the same sound comes out otherwise. */
  readonly isLive = signal(false);

  private sound: Sound | null = null;
  private cancelling: AbortController | null = null;

  constructor(private readonly endpoint: Endpoint) {}

  /** Whether there is motion for just this: the same is never computed twice. */
  isMadeOf(sound: Sound, parameters: AnimationParameters): boolean {
    return (
      this.motion.value !== null &&
      this.sound === sound &&
      JSON.stringify(this.parameters.value) === JSON.stringify(parameters)
    );
  }

  /**
   * Asks the endpoint, unless the motion is here already.
   *
   * @returns whether there is motion; false when it was cancelled or failed, which `problem` tells.
   * @throws what `onError` does not take.
   */
  async animate(sound: Sound, parameters: AnimationParameters, onError: (error: unknown) => boolean): Promise<boolean> {
    this.problem.value = null;
    if (this.isMadeOf(sound, parameters)) return true;
    this.cancel();
    const cancelling = (this.cancelling = new AbortController());
    this.progress.value = { name: "animating" };
    try {
      const motion = await this.endpoint.animate(sound.upload, parameters, {
        signal: cancelling.signal,
        onWait: (secondsLeft) =>
          (this.progress.value = secondsLeft > 0 ? { name: "waiting", secondsLeft } : { name: "animating" }),
      });
      cancelling.signal.throwIfAborted();
      this.sound = sound;
      this.isLive.value = false;
      this.parameters.value = parameters;
      this.motion.value = motion;
      return true;
    } catch (error) {
      if (!isAbort(error) && !onError(error)) this.problem.value = messageOf(error);
      return false;
    } finally {
      if (this.cancelling === cancelling) this.progress.value = { name: "idle" };
    }
  }

  /** Takes over motion that was made live; the same sound can still be animated as a recording. */
  keepLive(motion: Motion, parameters: AnimationParameters): void {
    this.sound = null;
    this.isLive.value = true;
    this.parameters.value = parameters;
    this.motion.value = motion;
  }

  cancel(): void {
    this.cancelling?.abort();
    this.cancelling = null;
    this.progress.value = { name: "idle" };
  }

  clear(): void {
    this.cancel();
    this.sound = null;
    this.motion.value = this.parameters.value = this.problem.value = null;
  }
}
