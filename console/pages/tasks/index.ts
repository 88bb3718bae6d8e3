import { ListTodo } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

export const tasks: PageModule = {
  routes: [
    {
      path: "/tasks",
      title: "Tasks",
      load: async () => ({ default: (await import("../single-pages.ts")).Tasks }),
      permission: "tasks:own",
    },
  ],
  nav: [{ label: "Tasks", path: "/tasks", icon: ListTodo, group: "operate", permission: "tasks:own", shortcut: "t" }],
};
