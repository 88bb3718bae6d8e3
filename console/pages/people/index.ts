import { Users } from "lucide";
import type { User } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { type PageModule, pagesOf } from "../../app/page-module.ts";
import { personName } from "../../app/people.ts";
import { can } from "../../app/session.ts";
import { loginOf } from "./person-types.ts";

export const people: PageModule = {
  ...pagesOf(() => import("./pages.ts"), {
    "/people": {
      page: "PeopleList",
      permission: "users:read",
      nav: { label: "People", icon: Users, group: "administer", shortcut: "p" },
    },
    "/people/pending": { page: "Pending", permission: "users:approve" },
    "/people/roles": { page: "Roles", permission: "roles:read" },
    "/people/:id": { page: "PersonPage", permission: "users:read" },
  }),
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
