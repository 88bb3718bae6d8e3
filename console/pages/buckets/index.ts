import { Landmark } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const buckets: PageModule = {
  routes: [
    {
      path: "/buckets",
      title: "Transfer buckets",
      load: async () => ({ default: (await import("../single-pages.ts")).Buckets }),
      permission: "buckets:read",
    },
  ],
  nav: [
    { label: "Buckets", path: "/buckets", icon: Landmark, group: "operate", permission: "buckets:read", shortcut: "b" },
  ],
};
