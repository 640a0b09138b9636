/** Recording a sound with the microphone. */

import { computed, signal } from "@preact/signals";

import { Recorder } from "../../sound";
import { messageOf } from "../words";

export class Recording {
  readonly recorder = signal<Recorder | null>(null);
  readonly isStarting = signal(false);
  readonly isOn = computed(() => this.recorder.value?.isRecording.value ?? false);
  /** From the question for the microphone to the end of the sound. */
  readonly isUnderWay = computed(() => this.isOn.value || this.isStarting.value);
  readonly problem = signal<string | null>(null);

  /** @param onDone gets what was recorded. */
  constructor(private readonly onDone: (file: File) => void) {}

  async start(maxSeconds: number): Promise<void> {
    if (this.isUnderWay.value) return;
    const recorder = new Recorder(maxSeconds);
    this.problem.value = null;
    this.isStarting.value = true;
    recorder.onEnd = (error) => {
      this.problem.value = error ? messageOf(error) : null;
      void this.stop();
    };
    try {
      await recorder.start();
      this.recorder.value = recorder;
    } catch (error) {
      this.problem.value = messageOf(error);
    } finally {
      this.isStarting.value = false;
    }
  }

  async stop(): Promise<void> {
    const recorder = this.recorder.value;
    if (!recorder) return;
    this.recorder.value = null;
    const file = await recorder.stop();
    if (file) this.onDone(file);
  }
}
