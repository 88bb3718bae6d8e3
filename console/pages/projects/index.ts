import { FolderClosed } from "lucide";
import type { Project } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const projects: PageModule = {
  routes: [
    { path: "/projects", title: "Projects", load: async () => ({ default: (await pages()).ProjectList }) },
    { path: "/projects/:id", title: "Project", load: async () => ({ default: (await pages()).ProjectPage }) },
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
