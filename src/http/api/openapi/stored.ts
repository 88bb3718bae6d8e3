import { createHash } from "node:crypto";
import type { Config } from "../../../config/load.ts";
import { executablePath, readAsset } from "../../../core/runtime.ts";
import type { Mount } from "../../server/router.ts";

/** What takes long to describe. It follows from the program alone. */
const SCHEMAS: ReadonlySet<string> = new Set(["params", "query", "body", "response"]);

/**
 * The name of the document among the assets: a digest of all that it says besides schemas, which
 * the same program describes the same.
 */
export function documentName(mounts: readonly Mount[], version: string, limits: Config["rateLimit"]): string {
  // The document leaves some out, but takes from all which resources have a version.
  const shown = mounts.filter(({ route }) => !route.undocumented || route.errors?.includes("VERSION_CONFLICT"));
  const routes = shown.map(({ route, path }) => [
    path,
    // A schema is made when its member is read.
    Object.keys(route).flatMap((name) => (SCHEMAS.has(name) ? [] : [[name, route[name as keyof typeof route]]])),
  ]);
  return `openapi-${createHash("sha256")
    .update(JSON.stringify([version, limits, routes]))
    .digest("hex")
    .slice(0, 32)}.json`;
}

/**
 * The document that the build has made of the same routes and limits; null if there is none, as
 * with modules or other limits.
 */
export function storedDocument(name: string): Buffer | null {
  // Beside sources it may be of earlier ones.
  if (executablePath() === null) return null;
  try {
    return readAsset(name, name);
  } catch {
    return null;
  }
}
