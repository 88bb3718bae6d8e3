import { Settings } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const settings: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/settings": {
      page: "Settings",
      permission: "system:manage",
      nav: { label: "Settings", icon: Settings, group: "administer", shortcut: "s" },
    },
  }),
};
