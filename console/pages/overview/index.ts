import "./overview.css";
import { House } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const overview: PageModule = {
  ...pagesOf(() => import("./overview.tsx"), {
    "/": { page: "default", nav: { label: "Overview", icon: House, group: "main", shortcut: "o", tab: 1 } },
  }),
};
