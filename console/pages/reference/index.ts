import { BookOpen } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const reference: PageModule = {
  routes: [{ path: "/reference", title: "API reference", load: () => import("./reference.tsx") }],
  nav: [{ label: "API reference", path: "/reference", icon: BookOpen, group: "administer" }],
};
