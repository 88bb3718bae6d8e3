import { Landmark } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const buckets: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/buckets": {
      page: "Buckets",
      permission: "buckets:read",
      nav: { label: "Buckets", icon: Landmark, group: "operate", shortcut: "b" },
    },
  }),
};
