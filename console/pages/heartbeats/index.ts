import { HeartPulse } from "lucide";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const heartbeats: PageModule = {
  routes: [
    {
      path: "/heartbeats",
      title: "Heartbeats",
      load: async () => ({ default: (await pages()).Heartbeats }),
      permission: "events:read",
      within: "project",
    },
    {
      path: "/heartbeats/:id",
      title: "Heartbeat",
      load: async () => ({ default: (await pages()).HeartbeatPage }),
      permission: "events:read",
      within: "project",
    },
  ],
  nav: [
    {
      label: "Heartbeats",
      path: "/heartbeats",
      icon: HeartPulse,
      group: "respond",
      permission: "events:read",
      within: "project",
      shortcut: "h",
    },
  ],
  async search(q) {
    const { data } = await api.get<Page<Heartbeat>>("/heartbeats", { q, limit: 5 });
    return data.map(({ id, name, slug, status }) => ({
      label: name || slug || "Unnamed heartbeat",
      kind: "Heartbeat",
      detail: status,
      icon: HeartPulse,
      run: `/heartbeats/${id}`,
    }));
  },
};
