import { FolderClosed } from "lucide";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";
import type { Project } from "./project-types.ts";

export const projects: PageModule = {
  routes: [
    { path: "/projects", title: "Projects", load: () => import("./project-list.tsx") },
    { path: "/projects/:id", title: "Project", load: () => import("./project.tsx") },
  ],
  nav: [{ label: "Projects", path: "/projects", icon: FolderClosed, group: "administer", shortcut: "d" }],
  async search(text) {
    const { data } = await api.get<Page<Project>>("/projects", { q: text, limit: 5 });
    return data.map(({ id, name, slug }) => ({
      label: name,
      kind: "Project",
      detail: slug,
      icon: FolderClosed,
      run: `/projects/${id}`,
    }));
  },
};
