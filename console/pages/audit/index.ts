import "./audit.css";
import { ShieldCheck } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const audit: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/audit": {
      page: "Audit",
      permission: "audit:read",
      nav: { label: "Audit", icon: ShieldCheck, group: "administer", shortcut: "u" },
    },
  }),
};
