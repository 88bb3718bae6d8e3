import { Blocks } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const modules: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/modules": {
      page: "Modules",
      permission: "system:status",
      nav: { label: "Modules", icon: Blocks, group: "administer" },
    },
  }),
};
