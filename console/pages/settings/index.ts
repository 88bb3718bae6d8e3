import { Settings } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const settings: PageModule = {
  routes: [{ path: "/settings", title: "Settings", load: () => import("./settings.tsx"), permission: "system:manage" }],
  nav: [
    {
      label: "Settings",
      path: "/settings",
      icon: Settings,
      group: "administer",
      permission: "system:manage",
      shortcut: "s",
    },
  ],
};
