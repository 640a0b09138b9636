import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

/** A button that asks for a file. */
export function FileButton({
  accept,
  onFile,
  class: className = "button",
  disabled,
  children,
}: {
  accept: string;
  onFile: (file: File) => void;
  class?: string;
  disabled?: boolean;
  children: ComponentChildren;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class={className} disabled={disabled} onClick={() => input.current?.click()}>
        {children}
      </button>
      <input
        ref={input}
        hidden
        type="file"
        accept={accept}
        onChange={(event) => {
          const field = event.currentTarget;
          const file = field.files?.[0];
          field.value = "";
          if (file) onFile(file);
        }}
      />
    </>
  );
}
