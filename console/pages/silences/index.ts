import { BellOff } from "lucide";
import type { PageModule } from "../../app/page-module.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const silences: PageModule = {
  routes: [
    {
      path: "/silences",
      title: "Silences",
      permission: "events:read",
      within: "project",
      load: async () => ({ default: (await pages()).SilencesPage }),
    },
    {
      path: "/silences/new",
      title: "New silence",
      permission: "silences:write",
      within: "project",
      load: async () => ({ default: (await pages()).NewSilence }),
    },
    {
      // Without a permission: a paged person may silence alerts of the incident. The server decides.
      path: "/incidents/:incident/silence",
      title: "New silence",
      load: async () => ({ default: (await pages()).NewSilence }),
    },
    {
      path: "/silences/:id",
      title: "Silence",
      load: async () => ({ default: (await pages()).SilencePage }),
    },
    {
      path: "/silences/:id/edit",
      title: "Change silence",
      permission: "silences:write",
      within: "project",
      load: async () => ({ default: (await pages()).EditSilence }),
    },
  ],
  nav: [
    {
      label: "Silences",
      path: "/silences",
      icon: BellOff,
      group: "respond",
      permission: "events:read",
      within: "project",
      shortcut: "x",
    },
  ],
  actions: [
    { label: "New silence", kind: "Action", icon: BellOff, run: "/silences/new", permission: "silences:write" },
  ],
};
