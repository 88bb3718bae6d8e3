import { BookOpen } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const reference: PageModule = {
  routes: [
    {
      path: "/reference",
      title: "API reference",
      load: async () => ({ default: (await import("../single-pages.ts")).Reference }),
    },
  ],
  nav: [{ label: "API reference", path: "/reference", icon: BookOpen, group: "administer" }],
};
