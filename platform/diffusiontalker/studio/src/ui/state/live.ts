/** Live: one session after the other, each of which leaves a take. */

import { computed, effect, signal } from "@preact/signals";

import type { Endpoint, StyleParameters } from "../../endpoint";
import { LiveSession } from "../../live";
import type { Motion } from "../../motion";
import { messageOf } from "../words";

export class Live {
  readonly session = signal<LiveSession | null>(null);
  /** Whether the voice is played back together with the face. */
  readonly isMonitoring = signal(false);
  readonly problem = signal<string | null>(null);
  readonly state = computed(() => this.session.value?.state.value ?? "idle");

  /**
   * @param onTake gets what was heard and animated.
   * @param onError takes errors that need no words here, such as a missing key.
   */
  constructor(
    private readonly endpoint: Endpoint,
    private readonly onTake: (take: { motion: Motion; sound: File }) => void,
    private readonly onError: (error: unknown) => boolean,
  ) {}

  async start(style: StyleParameters): Promise<void> {
    await this.stop();
    this.problem.value = null;
    const session = new LiveSession(this.endpoint, style, this.isMonitoring);
    this.session.value = session;
    try {
      await session.start();
    } catch (error) {
      this.session.value = null;
      if (!this.onError(error)) this.problem.value = messageOf(error);
      return;
    }
    const end = effect(() => {
      if (session.state.value !== "ended" || this.session.peek() !== session) return;
      this.problem.value = session.problem.peek();
      queueMicrotask(() => {
        end();
        void this.stop();
      });
    });
  }

  async stop(): Promise<void> {
    const session = this.session.value;
    if (!session) return;
    const take = await session.stop();
    if (this.session.value !== session) return;
    this.session.value = null;
    if (take) this.onTake(take);
  }
}
