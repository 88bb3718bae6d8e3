import { Volume2 } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const sounds: PageModule = {
  routes: [
    {
      path: "/sounds",
      title: "Sounds",
      permission: "sounds:read",
      load: async () => ({ default: (await import("../single-pages.ts")).Sounds }),
    },
  ],
  nav: [{ label: "Sounds", path: "/sounds", icon: Volume2, group: "administer", permission: "sounds:write" }],
};
