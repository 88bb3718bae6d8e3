import { Users } from "lucide";
import type { User } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";
import { personName } from "../../app/people.ts";
import { can } from "../../app/session.ts";
import { loginOf } from "./person-types.ts";

/** One file for all pages of this folder: it compresses better than one for each. */
const pages = () => import("./pages.ts");

export const people: PageModule = {
  routes: [
    {
      path: "/people",
      title: "People",
      load: async () => ({ default: (await pages()).PeopleList }),
      permission: "users:read",
    },
    {
      path: "/people/pending",
      title: "Pending accounts",
      load: async () => ({ default: (await pages()).Pending }),
      permission: "users:approve",
    },
    {
      path: "/people/roles",
      title: "Roles",
      load: async () => ({ default: (await pages()).Roles }),
      permission: "roles:read",
    },
    {
      path: "/people/:id",
      title: "Person",
      load: async () => ({ default: (await pages()).PersonPage }),
      permission: "users:read",
    },
  ],
  nav: [
    { label: "People", path: "/people", icon: Users, group: "administer", permission: "users:read", shortcut: "p" },
  ],
  async search(text) {
    if (!can("users:read")) return [];
    const { data } = await api.get<Page<User>>("/users", { q: text, limit: 5 });
    return data.map((person) => ({
      label: personName(person),
      kind: "Person",
      detail: loginOf(person),
      icon: Users,
      run: `/people/${person.id}`,
    }));
  },
};
