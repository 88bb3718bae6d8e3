import { ShieldCheck } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const audit: PageModule = {
  routes: [{ path: "/audit", title: "Audit", load: () => import("./audit.tsx"), permission: "audit:read" }],
  nav: [
    { label: "Audit", path: "/audit", icon: ShieldCheck, group: "administer", permission: "audit:read", shortcut: "u" },
  ],
};
