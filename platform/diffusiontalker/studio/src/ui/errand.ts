import { useSignal } from "@preact/signals";

import { useBench } from "./bench";
import { messageOf } from "./words";

/** Something that is asked of the endpoint: whether it is under way, and what went wrong, in words. */
export function useErrand() {
  const { catalogue } = useBench();
  const isBusy = useSignal(false);
  const problem = useSignal<string | null>(null);
  const run = async (errand: () => Promise<void>): Promise<void> => {
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = null;
    try {
      await errand();
    } catch (error) {
      if (!catalogue.asksForKey(error)) problem.value = messageOf(error);
    } finally {
      isBusy.value = false;
    }
  };
  return { isBusy, problem, run };
}
