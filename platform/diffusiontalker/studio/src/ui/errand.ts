import { useSignal } from "@preact/signals";

import type { WaitOptions } from "../endpoint";
import { useBench } from "./bench";
import { messageOf } from "./words";

/** Something that is asked of the endpoint: whether it is under way, waits for a busy endpoint, and what went wrong. */
export function useErrand() {
  const { catalogue } = useBench();
  const isBusy = useSignal(false);
  /** Seconds until a busy endpoint is asked again; 0 while nothing is waited for. */
  const waitingS = useSignal(0);
  const problem = useSignal<string | null>(null);
  const run = async (errand: (options: WaitOptions) => Promise<void>): Promise<void> => {
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      await errand({ onWait: (seconds) => (waitingS.value = seconds) });
    } catch (error) {
      if (!catalogue.asksForKey(error)) problem.value = messageOf(error);
    } finally {
      isBusy.value = false;
      waitingS.value = 0;
    }
  };
  return { isBusy, waitingS, problem, run };
}
