import { FileCode2 } from "lucide";
import { inProject, type PageModule, pagesOf } from "../../app/page-module.ts";

export const configuration: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/configuration": {
      page: "Configuration",
      ...inProject("events:read"),
      nav: { label: "Configuration", icon: FileCode2, group: "administer", shortcut: "f" },
    },
  }),
};
