import { Settings } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const settings: PageModule = {
  routes: [
    {
      path: "/settings",
      title: "Settings",
      load: async () => ({ default: (await import("../single-pages.ts")).Settings }),
      permission: "system:manage",
    },
  ],
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
