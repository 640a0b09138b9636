import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { useBench } from "../bench";
import { Icon } from "../Icon";

const SHOWN_MS = 2000;

/** Copies the address, which holds what was chosen; sounds stay here. */
export function ShareButton() {
  const { status } = useBench();
  const isCopied = useSignal(false);
  useEffect(() => {
    if (!isCopied.value) return;
    const timer = setTimeout(() => (isCopied.value = false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied.value]);
  const share = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      isCopied.value = true;
      status.value = "The address with these settings is copied";
    } catch {
      prompt("Copy this address: it holds these settings, not the sound.", location.href);
    }
  };
  return (
    <button
      type="button"
      class="button plain"
      aria-label="Share: copy the address with these settings"
      title="Copy the address with these settings; sounds stay here"
      onClick={() => void share()}
    >
      <Icon name={isCopied.value ? "check" : "share"} />
      <span class="word">{isCopied.value ? "Copied" : "Share"}</span>
    </button>
  );
}
