import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { storedKey } from "../endpoint";
import { useBench } from "./bench";
import { Dialog } from "./Dialog";
import { Problem } from "./Problem";

/** Asks for the API key when the endpoint wants one. */
export function KeyDialog() {
  const bench = useBench();
  const { catalogue } = bench;
  const id = useId();
  const key = useSignal("");
  const isBusy = useSignal(false);
  const wanted = catalogue.keyWanted.value;

  const enter = async () => {
    if (!key.value.trim() || isBusy.value) return;
    isBusy.value = true;
    await catalogue.enterKey(key.value, bench.chosenStudents());
    isBusy.value = false;
  };
  const close = () => {
    catalogue.problem.value = wanted;
    catalogue.keyWanted.value = null;
  };

  return (
    <Dialog title="This endpoint needs a key" onClose={close} onSubmit={() => void enter()}>
      <p class="soft">Whoever runs it gives you one. It is kept in this tab alone, until you close it.</p>
      <div class="field">
        <label for={id}>Key</label>
        <input
          id={id}
          class="input"
          type="password"
          autoFocus
          required
          autocomplete="off"
          spellcheck={false}
          pattern="\s*[!-~]+\s*"
          title="Plain letters, digits and signs, without spaces"
          placeholder="dt_…"
          value={key}
          onInput={(event) => (key.value = event.currentTarget.value)}
        />
      </div>
      {storedKey() && !isBusy.value && wanted && <Problem text={wanted} />}
      <div class="answers">
        <button type="button" class="button" onClick={close}>
          Not now
        </button>
        <button type="submit" class="button primary" disabled={isBusy.value || !key.value.trim()}>
          {isBusy.value ? "Asking …" : "Use this key"}
        </button>
      </div>
    </Dialog>
  );
}
