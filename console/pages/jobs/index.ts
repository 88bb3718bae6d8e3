import { Layers } from "lucide";
import type { Job } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";
import { can } from "../../app/session.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const jobs: PageModule = {
  routes: [
    { path: "/jobs", title: "Jobs", load: async () => ({ default: (await pages()).Jobs }), permission: "jobs:read" },
    {
      path: "/jobs/queues",
      title: "Queues",
      load: async () => ({ default: (await pages()).Queues }),
      permission: "jobs:read",
    },
    {
      path: "/jobs/:id",
      title: "Job",
      load: async () => ({ default: (await pages()).JobPage }),
      permission: "jobs:read",
    },
  ],
  nav: [{ label: "Jobs", path: "/jobs", icon: Layers, group: "operate", permission: "jobs:read", shortcut: "j" }],
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
