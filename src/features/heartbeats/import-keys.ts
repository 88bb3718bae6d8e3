import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import type { Route } from "../../http/api/route.ts";
import { givenTokenText, text } from "../../http/api/shapes.ts";
import { importRows } from "../access/index.ts";
import { type HeartbeatsContext, rotatePingKey } from "./changes.ts";
import * as table from "./table.ts";

const row = v.strictObject({
  project: text(64, 1),
  token: givenTokenText,
});

/** Ping keys of projects of Healthchecks: URLs with a slug go on. */
export function pingKeyImport(context: HeartbeatsContext): Route {
  const { ids } = context.heartbeats;
  return importRows(context, {
    path: "/api/v1/operator/heartbeats/keys",
    summary: "Import ping keys of projects",
    row,
    async store(trx, { project: ref, token }) {
      const projectId = context.projects.find(ref);
      if (projectId === undefined) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
      const keys = await table.findKeys(trx, "projectId", projectId);
      if (keys?.pingKeyHash === ids.hashOf(token)) return false;
      if (keys?.pingKeyHash) throw new PrismError("ID_CONFLICT", "The project has another ping key");
      await rotatePingKey(context, trx, projectId, token);
      return true;
    },
  });
}
