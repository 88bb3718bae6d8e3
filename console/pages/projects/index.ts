import { FolderClosed } from "lucide";
import type { Project } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { type PageModule, pagesOf } from "../../app/page-module.ts";

export const projects: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/projects": {
      page: "ProjectList",
      nav: { label: "Projects", icon: FolderClosed, group: "administer", shortcut: "d" },
    },
    "/projects/:id": { page: "ProjectPage" },
  }),
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
