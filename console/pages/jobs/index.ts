import { Layers } from "lucide";
import type { Job } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { type PageModule, pagesOf } from "../../app/page-module.ts";
import { can } from "../../app/session.ts";

export const jobs: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/jobs": {
      page: "Jobs",
      permission: "jobs:read",
      nav: { label: "Jobs", icon: Layers, group: "operate", shortcut: "j" },
    },
    "/jobs/queues": { page: "Queues", permission: "jobs:read" },
    "/jobs/:id": { page: "JobPage", permission: "jobs:read" },
  }),
  async search(text) {
    if (!can("jobs:read")) return [];
    const { data } = await api.get<Page<Job>>("/jobs", { q: text, limit: 5 });
    return data.map(({ id, kind, label, state }) => ({
      label: label ?? kind,
      kind: "Job",
      detail: state,
      icon: Layers,
      run: `/jobs/${id}`,
    }));
  },
};
