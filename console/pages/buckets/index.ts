import { Landmark } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const buckets: PageModule = {
  routes: [
    { path: "/buckets", title: "Transfer buckets", load: () => import("./buckets.tsx"), permission: "buckets:read" },
  ],
  nav: [
    { label: "Buckets", path: "/buckets", icon: Landmark, group: "operate", permission: "buckets:read", shortcut: "b" },
  ],
};
