import "./audit.css";
import { ShieldCheck } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const audit: PageModule = {
  routes: [
    {
      path: "/audit",
      title: "Audit",
      load: async () => ({ default: (await import("../single-pages.ts")).Audit }),
      permission: "audit:read",
    },
  ],
  nav: [
    { label: "Audit", path: "/audit", icon: ShieldCheck, group: "administer", permission: "audit:read", shortcut: "u" },
  ],
};
