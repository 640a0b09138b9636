import { Icon } from "../Icon";
import { DownloadMenu } from "./DownloadMenu";
import { HeadMenu } from "./HeadMenu";
import { ShareButton } from "./ShareButton";
import { ThemeButton } from "./ThemeButton";

export function Header() {
  return (
    <header class="top">
      <h1>
        <Icon name="wave" size={22} />
        <strong>DiffusionTalker</strong> <span>Studio</span>
      </h1>
      <HeadMenu />
      <DownloadMenu />
      <ShareButton />
      <ThemeButton />
    </header>
  );
}
