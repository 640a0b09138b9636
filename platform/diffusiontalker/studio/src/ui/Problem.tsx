import { Icon } from "./Icon";

/** What went wrong, in words, where it arose; read out at once. */
export function Problem({ text, onClose }: { text: string; onClose?: () => void }) {
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <span>{text}</span>
      {onClose && (
        <button type="button" class="button plain icon" aria-label="Close this message" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      )}
    </div>
  );
}
