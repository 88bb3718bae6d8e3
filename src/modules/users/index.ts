import * as v from "valibot";
import { PERMISSIONS } from "../../base/permissions.ts";
import { route } from "../../http/route.ts";
import { userOf } from "../../services/caller-of.ts";
import type { AppModule } from "../../services/module.ts";
import { findUser } from "./queries.ts";
import { userView } from "./view.ts";

const UserView = v.object({
  id: v.string(),
  email: v.nullable(v.string()),
  username: v.nullable(v.string()),
  phone: v.nullable(v.string()),
  externalId: v.nullable(v.string()),
  name: v.string(),
  roles: v.array(v.string()),
  permissions: v.array(v.picklist(PERMISSIONS)),
  status: v.picklist(["pending", "active", "disabled", "unverified"]),
  timezone: v.string(),
  locale: v.string(),
  createdAt: v.string(),
  updatedAt: v.string(),
});

/** Who the caller is (contract 4.5). */
const users: AppModule = {
  name: "users",
  version: "1.0.0",
  register(server, { db }) {
    server.route(
      route({
        method: "GET",
        path: "/api/v1/users/me",
        aliases: ["/api/profile", "/api/v1/profile"],
        summary: "The caller's own account",
        tag: "Users",
        access: {},
        response: UserView,
        async handle(exchange) {
          const principal = userOf(exchange);
          return userView(await findUser(db.read, principal.userId), principal.permissions);
        },
      }),
    );
  },
};

export default users;
