import { Volume2 } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const sounds: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/sounds": {
      page: "Sounds",
      permission: "sounds:read",
      nav: { label: "Sounds", icon: Volume2, group: "administer", permission: "sounds:write" },
    },
  }),
};
