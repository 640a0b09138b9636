/** Plays the microphone's sound back as late as the face is shown, so that voice and face belong together. */

import type { Microphone } from "../sound";

/** The longest delay there can be. */
const MOST_DELAY_S = 10;
/** How slowly the delay follows, so that nothing clicks. */
const FOLLOWING_S = 0.5;

export class Monitor {
  private readonly delay: DelayNode;
  private isOn = false;

  constructor(private readonly microphone: Microphone) {
    this.delay = microphone.context.createDelay(MOST_DELAY_S);
    microphone.source.connect(this.delay);
  }

  /** Switches the sound; needs headphones, or the microphone hears it again. */
  set isAudible(isAudible: boolean) {
    if (isAudible === this.isOn) return;
    this.isOn = isAudible;
    if (isAudible) this.delay.connect(this.microphone.context.destination);
    else this.delay.disconnect();
  }

  /** The face is shown so long after its sound was recorded. */
  follow(delayMs: number): void {
    const { context } = this.microphone;
    const outputS = context.outputLatency || context.baseLatency || 0;
    const delayS = Math.min(Math.max(delayMs / 1000 - outputS, 0), MOST_DELAY_S);
    if (Math.abs(this.delay.delayTime.value - delayS) > 1) this.delay.delayTime.value = delayS;
    else this.delay.delayTime.setTargetAtTime(delayS, context.currentTime, FOLLOWING_S);
  }
}
