import { LogOut, Monitor, MonitorSmartphone, Moon, Settings2, Sun } from "lucide";
import { navigate } from "../../app/navigate.ts";
import { type PageModule, type PaletteEntry, pagesOf } from "../../app/page-module.ts";
import { signOut } from "../../app/session.ts";
import { installPrompt } from "../../app/worker.ts";
import { setTheme } from "../../ui/index.ts";
import { ACCOUNT_TABS } from "./tabs.ts";

const tabs: readonly PaletteEntry[] = ACCOUNT_TABS.map(({ label, path }) => ({
  label: `Account: ${label}`,
  kind: "Page",
  icon: Settings2,
  run: path,
}));

/** The browser's own question, or the page that says how to install. */
function install(): void {
  if (installPrompt.value) void installPrompt.value.prompt();
  else navigate("/account/device");
}

/** The caller's own account. It is reached by the menu of the user. */
export const account: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/account": { page: "Profile" },
    "/account/security": { page: "Security" },
    "/account/tokens": { page: "Tokens" },
    "/account/notifications": { page: "NotificationPreferences" },
    "/account/device": { page: "Device" },
    "/account/appearance": { page: "Appearance" },
  }),
  actions: [
    ...tabs,
    { label: "Install the console", kind: "Action", icon: MonitorSmartphone, run: install },
    { label: "Light theme", kind: "Action", icon: Sun, run: () => setTheme("light") },
    { label: "Dark theme", kind: "Action", icon: Moon, run: () => setTheme("dark") },
    { label: "Theme of the system", kind: "Action", icon: Monitor, run: () => setTheme("system") },
    { label: "Sign out", kind: "Action", icon: LogOut, run: signOut },
  ],
};
