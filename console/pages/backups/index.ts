import { DatabaseBackup } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const backups: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/backups": {
      page: "Backups",
      permission: "system:manage",
      nav: { label: "Backups", icon: DatabaseBackup, group: "administer", shortcut: "k" },
    },
  }),
};
