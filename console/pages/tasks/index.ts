import { ListTodo } from "lucide";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const tasks: PageModule = {
  ...pagesOf(() => import("../single-pages.ts"), {
    "/tasks": {
      page: "Tasks",
      permission: "tasks:own",
      nav: { label: "Tasks", icon: ListTodo, group: "operate", shortcut: "t" },
    },
  }),
};
