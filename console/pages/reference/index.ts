import { BookOpen } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const reference: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/reference": { page: "Reference", nav: { label: "API reference", icon: BookOpen, group: "administer" } },
  }),
};
