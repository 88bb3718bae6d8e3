import { DatabaseBackup } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const backups: PageModule = {
  routes: [
    {
      path: "/backups",
      title: "Backups",
      load: async () => ({ default: (await import("../single-pages.ts")).Backups }),
      permission: "system:manage",
    },
  ],
  nav: [
    {
      label: "Backups",
      path: "/backups",
      icon: DatabaseBackup,
      group: "administer",
      permission: "system:manage",
      shortcut: "k",
    },
  ],
};
