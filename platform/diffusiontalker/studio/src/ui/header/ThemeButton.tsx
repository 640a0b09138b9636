import { useBench } from "../bench";
import { Icon } from "../Icon";

export function ThemeButton() {
  const { settings, shade } = useBench();
  const other = shade.value === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      class="button plain icon"
      aria-label={`Switch to ${other} colours`}
      title={`Switch to ${other} colours`}
      onClick={() => (settings.theme.value = other)}
    >
      <Icon name={other} />
    </button>
  );
}
