import { House } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const overview: PageModule = {
  routes: [{ path: "/", title: "Overview", load: () => import("./overview.tsx") }],
  nav: [{ label: "Overview", path: "/", icon: House, group: "main", shortcut: "o", tab: 1 }],
};
