import { Blocks } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const modules: PageModule = {
  routes: [
    {
      path: "/modules",
      title: "Modules",
      load: async () => ({ default: (await import("../single-pages.ts")).Modules }),
      permission: "system:status",
    },
  ],
  nav: [{ label: "Modules", path: "/modules", icon: Blocks, group: "administer", permission: "system:status" }],
};
