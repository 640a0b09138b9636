import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { Icon, type IconName } from "./Icon";

/** A button that opens a sheet below it. Escape, a click elsewhere and `close`, given to the content, shut it. */
export function Menu({
  label,
  icon,
  isUpward = false,
  children,
}: {
  label: string;
  icon: IconName;
  isUpward?: boolean;
  children: (close: () => void) => ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(false);
  const sheet = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    const closeElsewhere = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", closeElsewhere);
    document.addEventListener("focusin", closeElsewhere);
    return () => {
      document.removeEventListener("pointerdown", closeElsewhere);
      document.removeEventListener("focusin", closeElsewhere);
    };
  }, [isOpen]);
  return (
    <div
      class="menu"
      ref={root}
      onKeyDown={(event) => {
        if (isOpen && event.key === "Escape") close();
      }}
    >
      <button
        ref={button}
        type="button"
        class="button plain"
        aria-label={label}
        aria-expanded={isOpen}
        aria-controls={isOpen ? sheet : undefined}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name={icon} />
        <span class="word">{label}</span>
      </button>
      {isOpen && (
        <div id={sheet} class={isUpward ? "sheet upward" : "sheet"} role="group" aria-label={label}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
