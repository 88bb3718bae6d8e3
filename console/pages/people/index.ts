import { Users } from "lucide";
import { api, type Page } from "../../app/api.ts";
import type { PageModule } from "../../app/page-module.ts";
import { can } from "../../app/session.ts";
import { loginOf, nameOf, type Person } from "./person-types.ts";

export const people: PageModule = {
  routes: [
    { path: "/people", title: "People", load: () => import("./people-list.tsx"), permission: "users:read" },
    {
      path: "/people/pending",
      title: "Pending accounts",
      load: () => import("./pending.tsx"),
      permission: "users:approve",
    },
    { path: "/people/roles", title: "Roles", load: () => import("./roles.tsx"), permission: "roles:read" },
    { path: "/people/:id", title: "Person", load: () => import("./person.tsx"), permission: "users:read" },
  ],
  nav: [
    { label: "People", path: "/people", icon: Users, group: "administer", permission: "users:read", shortcut: "p" },
  ],
  async search(text) {
    if (!can("users:read")) return [];
    const { data } = await api.get<Page<Person>>("/users", { q: text, limit: 5 });
    return data.map((person) => ({
      label: nameOf(person),
      kind: "Person",
      detail: loginOf(person),
      icon: Users,
      run: `/people/${person.id}`,
    }));
  },
};
